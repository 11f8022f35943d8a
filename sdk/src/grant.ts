import type { ConduitErrorCode } from "./errors.ts";

/**
 * What a token source answers: the user's JWT, alone or with what came beside it, in the spelling of this SDK or of OAuth (RFC 6749 section 5.1).
 * `expiresIn` is seconds from now; without it the token's own `exp - iat` counts, and a token that tells neither is used until it is refused.
 */
export type Grant =
  | string
  | {
      readonly token?: string;
      readonly accessToken?: string;
      readonly access_token?: string;
      readonly expiresIn?: number;
      readonly expires_in?: number;
      readonly refreshToken?: string;
      readonly refresh_token?: string;
    };

/** Why a token is asked for. `expired` and `initial` make calls wait; `proactive` and `resume` happen behind calls that go on. */
export type RefreshReason = "initial" | "proactive" | "expired" | "unauthorized" | "resume" | "manual";

/** What a token source is told. */
export interface RefreshContext {
  readonly reason: RefreshReason;
  /** The same on every retry of one rotation: send it along, and a server may answer a repeated request with the same successor. */
  readonly attemptId: string;
  /** The token that is to be replaced, if there is one. */
  readonly token?: string | undefined;
  /** The refresh token that came with the current token, if any. */
  readonly refreshToken?: string | undefined;
  /** Aborted when the answer is no longer wanted: time-out, sign-out, dispose. */
  readonly signal: AbortSignal;
}

/**
 * Where tokens come from: your back end, your identity provider's SDK, a refresh endpoint.
 * `null` = signed out. Throw for anything that may pass (network, 429, 5xx): that never ends a session. An error with a number
 * `retryAfterMs` (at most 5 minutes count) holds off further calls for so long; those in between get it as their cause.
 */
export type GetToken = (context: RefreshContext) => Grant | null | Promise<Grant | null>;

/** A source of tokens that keeps sessions beyond this client, as `createSession` of `/session` makes it. */
export interface TokenSource<Tokens> {
  readonly getToken: GetToken;
  /** Told once which tokens it feeds, so that it can replace or drop them when the session changes elsewhere. Answers the function that ends it. */
  attach?(tokens: Tokens): () => void;
  /** Ends the session for good; called by `signOut()` after the token was dropped here. */
  signOut?(): Promise<void>;
}

/** Each event of a client with what its listeners get. */
export interface ConduitEvents {
  /** The token was replaced or dropped. `expiresAt`: wall clock in ms, `Infinity` if unknown. */
  change: {
    readonly tokens: { readonly expiresAt: number; readonly generation: number } | null;
    readonly via: "refresh" | "set" | "signed-out";
  };
  /** One round of `getToken` ended; `rotated` also if `setToken` came first, `lost` also if a sign-out did. `waiters`: calls that waited. */
  refresh: {
    readonly reason: RefreshReason;
    readonly durationMs: number;
    readonly waiters: number;
    readonly outcome: "rotated" | "failed" | "lost";
  };
  /** The session is over; once per session. */
  lost: { readonly error: Error & { readonly code: ConduitErrorCode } };
}

/** A grant after its spelling was settled. */
export interface ParsedGrant {
  readonly token: string;
  readonly refreshToken: string | undefined;
  readonly expiresInSeconds: number | undefined;
}

/** Reads a grant. Throws `TypeError` when it holds no token a header may carry; its message never holds the value. */
export function parseGrant(grant: Grant): ParsedGrant {
  const fields = typeof grant === "string" ? { token: grant } : (grant ?? {});
  return {
    token: headerSafe(fields.token ?? fields.accessToken ?? fields.access_token, "token"),
    refreshToken: fields.refreshToken ?? fields.refresh_token,
    // Number(): some servers send "3600".
    expiresInSeconds: finiteOf(Number(fields.expiresIn ?? fields.expires_in ?? Number.NaN)),
  };
}

/** The value, if it is a number and not infinite. */
export function finiteOf(value: unknown): number | undefined {
  return Number.isFinite(value) ? (value as number) : undefined;
}

/**
 * The value, if it is visible ASCII without spaces; else `TypeError`.
 * Checked here because `Headers.set` puts a refused value into its error message, and from there a token gets into logs.
 */
export function headerSafe(value: unknown, name: string): string {
  if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value)) return value;
  throw new TypeError(`${name} must be visible ASCII`);
}
