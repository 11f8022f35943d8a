import { holdToken } from "../expiry.ts";
import type { Grant, ParsedGrant } from "../grant.ts";
import type { Platform } from "../platform.ts";

/**
 * What a store keeps of a session, as JSON. It is replaced as a whole and only if it is still what its writer had read (`TokenStore.swap`):
 *
 * 1. `attemptId` is written, then the refresh token is sent with it. Whoever finds an `attemptId` (another tab; this one after a crash) sends
 *    the same one again, and the server answers the same successor: a rotation that has begun is finished, never begun a second time.
 * 2. The successor is written with the next generation and without `attemptId`.
 *
 * A session that was ended leaves `signedOut`, so that a refresh under way elsewhere finds its record gone and drops what it got.
 */
export interface SessionRecord {
  readonly v: 1;
  /** Random for each sign-in: the tokens of one person are never taken for another's. */
  readonly session: string;
  readonly generation: number;
  readonly signedOut?: true;
  readonly token?: string;
  /** Wall clock in ms. */
  readonly receivedAt?: number;
  /** Absent = unknown: the token is used until it is refused. */
  readonly lifetimeMs?: number;
  readonly refreshToken?: string | undefined;
  /** Of the rotation that has begun. */
  readonly attemptId?: string;
}

/**
 * Reads a record. `undefined`: nothing is kept, or nothing of ours. A bare JWT, as apps kept it before, counts as a session without a refresh
 * token. Throws for the format of a later version, which this one must not overwrite.
 */
export function parseRecord(text: string | null): SessionRecord | undefined {
  if (text && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return { v: 1, session: "", generation: 0, token: text };
  let record: SessionRecord | undefined;
  try {
    record = JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
  if (typeof record?.v !== "number") return undefined;
  if (record.v !== 1) throw new Error("The store holds a session in the format of a later version");
  return record;
}

/** The record of a token just received, as the next generation of `previous`. */
export function recordOf(grant: ParsedGrant, previous: SessionRecord, platform: Platform): SessionRecord {
  const { lifetimeMs } = holdToken(grant, 0, platform);
  const { v, session, generation, refreshToken } = previous;
  return {
    v,
    session,
    generation: generation + 1,
    token: grant.token,
    receivedAt: platform.now(),
    ...(lifetimeMs < Infinity && { lifetimeMs }),
    refreshToken: grant.refreshToken ?? refreshToken,
  };
}

/**
 * The token of a record for a client, without the refresh token, which stays in the store; `undefined` when it has expired, or all but.
 * A wall clock that was set back makes no token live longer than it did when it was received.
 */
export function grantOf({ token, receivedAt = 0, lifetimeMs }: SessionRecord, nowMs: number): Grant | undefined {
  if (token === undefined || lifetimeMs === undefined) return token;
  const leftMs = lifetimeMs - Math.max(nowMs - receivedAt, 0);
  return leftMs > 1000 ? { token, expiresIn: leftMs / 1000 } : undefined;
}
