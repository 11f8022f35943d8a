import { createProxyHandler, type ProxyHandler } from "@conduit-link/sdk/next";
import { signUserToken } from "@conduit-link/sdk/server";
import type { NextApiRequest } from "next";
import type { NextRequest } from "next/server";
import { getToken } from "next-auth/jwt";

/** The route of either router: whoever is signed in calls the link, with a token that never reaches the browser. */
export function proxyToLink(): ProxyHandler {
  return createProxyHandler({
    url: process.env.CONDUIT_URL ?? "",
    linkToken: process.env.CONDUIT_LINK_TOKEN,
    async getToken(request: NextRequest | NextApiRequest) {
      const session = await getToken({ req: request });
      if (!session?.sub) return null;
      return signUserToken({
        sub: session.sub,
        claims: { email: session.email, roles: session.roles },
        secret: process.env.CONDUIT_JWT_SECRET ?? "",
        issuer: process.env.CONDUIT_ISSUER,
      });
    },
  });
}
