import { createProxyHandler } from "@conduit-link/sdk/next";
import { signUserToken } from "@conduit-link/sdk/server";
import { auth } from "../../../../auth";

/** Whoever is signed in calls the link, with a token that never reaches the browser. */
const handler = createProxyHandler({
  url: process.env.CONDUIT_URL ?? "",
  linkToken: process.env.CONDUIT_LINK_TOKEN,
  async getToken() {
    // Not `getToken({ req })` of Auth.js 5: that looks for another cookie behind https, unless told.
    const user = (await auth())?.user;
    if (!user?.id) return null;
    return signUserToken({
      sub: user.id,
      claims: { email: user.email, roles: user.roles },
      secret: process.env.CONDUIT_JWT_SECRET ?? "",
      issuer: process.env.CONDUIT_ISSUER,
    });
  },
});

export { handler as DELETE, handler as GET, handler as PATCH, handler as POST, handler as PUT };
