import { conduitCallbacks } from "@conduit-link/sdk/next";
import type { NextAuthOptions } from "next-auth";
import Credentials from "next-auth/providers/credentials";

/** One person with one password, for trying it out; yours come from your database or another provider. */
export const authOptions: NextAuthOptions = {
  providers: [
    Credentials({
      credentials: { password: { label: "Password", type: "password" } },
      authorize: (credentials) =>
        credentials?.password === process.env.DEMO_PASSWORD
          ? { id: "123", name: "Ada", email: "ada@example.com", roles: ["editor"] }
          : null,
    }),
  ],
  session: { strategy: "jwt" },
  callbacks: conduitCallbacks(),
};
