import { conduitCallbacks } from "@conduit-link/sdk/next";
import NextAuth from "next-auth";
import Credentials from "next-auth/providers/credentials";

declare module "next-auth" {
  /** What `conduitCallbacks` keeps of a user, beside the id. */
  interface User {
    roles?: readonly string[];
  }
}

export const { handlers, auth } = NextAuth({
  // One person with one password, for trying it out; yours come from your database or another provider.
  providers: [
    Credentials({
      credentials: { password: { label: "Password", type: "password" } },
      authorize: ({ password }) =>
        password === process.env.DEMO_PASSWORD
          ? { id: "123", name: "Ada", email: "ada@example.com", roles: ["editor"] }
          : null,
    }),
  ],
  session: { strategy: "jwt" },
  callbacks: conduitCallbacks(),
});
