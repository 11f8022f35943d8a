import { holdToken, marginMs } from "../../expiry.ts";
import { type Grant, parseGrant } from "../../grant.ts";
import { defaultPlatform } from "../../platform.ts";

/** Options of {@link conduitCallbacks}. */
export interface ConduitCallbacksOptions {
  /**
   * Fields of whoever signs in that the session keeps, from the user object or else the provider's profile. Default `role`, `roles`, `tenantId`:
   * what the link's identity headers are made of.
   */
  readonly claims?: readonly string[];
  /**
   * Makes the user's JWT for the link from the session's own claims (`sub`, `email`, and `claims`): called at sign-in, and again when it is due.
   * `null` = this user gets none. What it throws never ends the session: the old token is kept while it is valid, and `onError` is told.
   */
  readonly getToken?: (session: Readonly<Record<string, unknown>>) => Grant | null | Promise<Grant | null>;
  /** Hears of what `getToken` threw. */
  readonly onError?: (error: unknown) => void;
  /**
   * Also gives the JWT to the browser, as `session.conduit` `{ token, expiresIn }`, for pages that call the link themselves. Default false: it
   * stays in the encrypted cookie, where `getToken()` of `next-auth/jwt` finds it as `conduit.token` on the server.
   */
  readonly exposeToken?: boolean;
}

/** The two callbacks, for NextAuth 4 and Auth.js 5 alike. */
export interface ConduitCallbacks {
  jwt<Token extends object>(params: {
    readonly token: Token;
    readonly user?: object | null;
    readonly profile?: object | null | undefined;
  }): Promise<Token>;
  session<Session extends object>(params: { readonly session: Session; readonly token?: object }): Session;
}

/** The link's token inside the session's. Milliseconds since 1970. */
interface Kept {
  readonly token: string;
  readonly renewAt: number;
  readonly expiresAt: number;
}

/**
 * Callbacks that carry the user's id and claims, and if asked for a token for the link, in NextAuth's session: `callbacks: conduitCallbacks()`,
 * or spread among your own. Needs the session strategy `jwt`. Refresh tokens are not kept: NextAuth runs these callbacks for each of several
 * requests at the same time, and using one refresh token twice would end the session; a new token is made instead.
 */
export function conduitCallbacks(options: ConduitCallbacksOptions = {}): ConduitCallbacks {
  const { claims = ["role", "roles", "tenantId"], getToken, onError, exposeToken } = options;
  const now = () => defaultPlatform.now();
  return {
    async jwt({ token, user, profile }) {
      const kept = user ? { ...token, ...pick({ ...profile, ...user }, claims) } : token;
      const { conduit, ...session } = kept as { conduit?: Kept };
      if (!getToken || (!user && conduit && now() < conduit.renewAt)) return kept as typeof token;
      try {
        const grant = await getToken(session);
        return { ...session, ...(grant !== null && { conduit: keep(grant) }) } as typeof token;
      } catch (error) {
        onError?.(error);
        // Whoever has just signed in gets no token of whoever was signed in before.
        return (user ? session : kept) as typeof token;
      }
    },
    session({ session, token = {} }) {
      const { sub: id, conduit } = token as { sub?: string; conduit?: Kept };
      const { user } = session as { user?: object };
      const expiresIn = conduit ? Math.floor((conduit.expiresAt - now()) / 1000) : 0;
      return {
        ...session,
        user: { ...user, ...pick(token, claims), ...(id !== undefined && { id }) },
        ...(exposeToken && conduit && expiresIn > 0 && { conduit: { token: conduit.token, expiresIn } }),
      };
    },
  };
}

function pick(from: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(from).filter(([name, value]) => names.includes(name) && value !== undefined),
  );
}

function keep(grant: Grant): Kept {
  const held = holdToken(parseGrant(grant), 0, defaultPlatform);
  // JSON, which the cookie holds, knows no Infinity.
  const expiresAt = Math.min(defaultPlatform.now() + held.lifetimeMs, Number.MAX_SAFE_INTEGER);
  return { token: held.token, expiresAt, renewAt: expiresAt - marginMs(held) };
}
