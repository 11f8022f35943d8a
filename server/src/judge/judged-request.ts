import type { RewrittenPath } from "../policy/rewrite.ts";
import type { JudgedLink } from "./judged-link.ts";
import type { User } from "./user.ts";

/** A request as the verdict sees it: plain values, made by the proxy, `VerifyToken` or `explain`. */
export interface JudgedRequest {
  /** As received. */
  readonly method: string;
  /** After the link's id: begins with `/`, without query, percent-encoding as received. */
  readonly path: string;
  /** Without `?`; "" = none. */
  readonly query: string;
  /** Values of the `X-Access-Token` lines. */
  readonly accessTokens: readonly string[];
  /** Values of the `Authorization` lines. */
  readonly authorizations: readonly string[];
  /** Value of `Origin`. */
  readonly origin: string | undefined;
  /** IP address. */
  readonly clientAddress: string;
  /** Values of the `Cookie` lines. */
  readonly cookies: readonly string[];
  /** Values of the `Sec-Fetch-Site` lines. */
  readonly fetchSites: readonly string[];
}

/** What stage 4 begins with. Each stage adds a field of its own, so that a wrong order does not compile. */
export interface Routed {
  readonly link: JudgedLink;
  readonly request: JudgedRequest;
}

/** Added by `link-token`: which app calls; `linkToken` = the token's resource name. */
export interface WithApp {
  readonly app: { readonly linkToken: string | undefined };
}

/** Added by `user-token`; undefined = anonymous. */
export interface WithUser {
  readonly user: User | undefined;
}

/** Added by `revocation`. */
export interface WithRevocation {
  /** When the look-up was made: milliseconds since the epoch. */
  readonly notRevokedAtMs: number;
}

/** Added by `authorize`. */
export interface WithRule {
  /** Place in the link's list of the rule that allows. */
  readonly ruleIndex: number;
  /** The path to forward below the base URL's, byte for byte. */
  readonly forward: {
    readonly path: string;
    /** Undefined = it is the path that was sent. */
    readonly rewritten: RewrittenPath | undefined;
  };
}
