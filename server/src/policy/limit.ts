import type { Claims } from "../model/claims.ts";
import type { Limit } from "../model/link.ts";
import { type ClaimRef, claimText, parseClaimPath, readClaim } from "./claims.ts";
import { addressBucket } from "./client-address.ts";
import type { Parsed } from "./parsed.ts";

/**
 * State of one bucket of a GCRA limit: the theoretical arrival time (ITU-T I.371, A.1) as a count of requests, that is
 * time ÷ (window ÷ requests). In this unit a request adds exactly 1, so no rounding error grows with the burst.
 * Undefined = never used, or full again.
 */
export type LimitState = number | undefined;

/** What `reserve` decided. */
export interface Reservation {
  readonly isAllowed: boolean;
  /** `r`: requests that would pass now. */
  readonly remaining: number;
  /** `t`: whole seconds until `remaining` is `burst` again. */
  readonly resetSeconds: number;
  /** Whole seconds until the next request passes, at least 1; 0 when one would pass now. */
  readonly retryAfterSeconds: number;
  readonly state: LimitState;
}

/** In requests, so a millionth of an interval: nobody notices it, and it is more than the rounding of any clock. */
const TOLERANCE = 1e-6;

/**
 * Takes one request from a bucket, or refuses it and changes nothing. `nowMs` may be any clock that all users of the
 * bucket share; prefer a monotonic one. When it jumps back, a bucket is at worst empty: the next request passes after
 * one interval (window ÷ requests). When it jumps forward, it is full, once.
 */
export function reserve(state: LimitState, limit: Limit, nowMs: number): Reservation {
  const { requests, windowMs, burst } = limit;
  const now = (nowMs * requests) / windowMs;
  const tolerance = TOLERANCE + now * Number.EPSILON;
  const level = Math.min(Math.max((state ?? now) - now, 0), burst);
  const isAllowed = level + 1 <= burst + tolerance;
  const after = isAllowed ? level + 1 : level;
  const secondsPerRequest = windowMs / requests / 1000;
  const canPass = after + 1 <= burst + tolerance;
  return {
    isAllowed,
    remaining: Math.max(0, Math.floor(burst - after + tolerance)),
    resetSeconds: Math.max(0, Math.ceil((after - tolerance) * secondsPerRequest)),
    retryAfterSeconds: canPass ? 0 : Math.max(1, Math.ceil((after + 1 - burst - tolerance) * secondsPerRequest)),
    state: isAllowed ? now + after : state === undefined ? undefined : now + level,
  };
}

/** When a bucket is full again and may be forgotten: milliseconds on the clock of `reserve`. */
export function fullAtMs(state: number, limit: Limit): number {
  return (state * limit.windowMs) / limit.requests;
}

/** Whom a request is counted for. */
export interface LimitIdentity {
  /** Resource name. */
  readonly linkToken: string | undefined;
  /** Resource name of the user token's issuer. */
  readonly issuer: string | undefined;
  readonly claims: Claims | undefined;
  readonly clientAddress: string;
}

/** Bucket of one limit within a link, or the claim without which none can be told. */
export type LimitBucket = { readonly key: string } | { readonly missingClaim: string };

/** A limit whose key has been read once. */
export interface CompiledLimit {
  readonly limit: Limit;
  /** Throughput and name: a changed limit begins with full buckets, and never reads another's states. */
  readonly id: string;
  readonly bucketOf: (identity: LimitIdentity) => LimitBucket;
}

type KeyName = "subject" | "link_token" | "link" | "client_address";

/** Where nobody is named, the address is: one bucket for all strangers would let one of them starve the others. */
const callerKey = ({ linkToken, clientAddress }: LimitIdentity): string =>
  `caller\n${linkToken ?? ""}\n${addressBucket(clientAddress)}`;

/** Fixed keys. Every text that a caller could choose stands last, so that no two buckets have one key. */
const KEYS: Record<KeyName, (identity: LimitIdentity) => string> = {
  subject: (identity) => {
    const { issuer, claims } = identity;
    const sub = claims === undefined ? undefined : readClaim(claims, ["sub"]);
    const isNamed = issuer !== undefined && typeof sub === "string";
    return isNamed ? `subject\n${issuer}\n${sub}` : callerKey(identity);
  },
  link_token: (identity) =>
    identity.linkToken === undefined ? callerKey(identity) : `link_token\n${identity.linkToken}`,
  link: () => "link",
  client_address: ({ clientAddress }) => `client_address\n${addressBucket(clientAddress)}`,
};

const isKeyName = (key: string): key is KeyName => Object.hasOwn(KEYS, key);

/** Compiles a limit; a problem is one of its key. */
export function compileLimit(limit: Limit): Parsed<CompiledLimit> {
  const id = `${limit.name}\n${limit.requests}/${limit.windowMs}/${limit.burst}`;
  const { key } = limit;
  if (isKeyName(key)) return { value: { limit, id, bucketOf: (identity) => ({ key: KEYS[key](identity) }) } };
  const path = /^jwt(?:\.(?=[^[])|(?=\[))(.+)$/.exec(key)?.[1];
  if (path === undefined) return { problem: "must be subject, link_token, link, client_address or jwt.<claim path>" };
  const ref = parseClaimPath(path);
  if ("problem" in ref) return { problem: `the claim path ${ref.problem}` };
  return { value: { limit, id, bucketOf: (identity) => claimBucket(identity, ref.value) } };
}

/** Per issuer: two issuers may use one claim value for two people. A claim that is no text refuses like a missing one. */
function claimBucket({ issuer, claims }: LimitIdentity, ref: ClaimRef): LimitBucket {
  const text = claims === undefined ? undefined : claimText(readClaim(claims, ref.path));
  return text === undefined ? { missingClaim: ref.name } : { key: `claim\n${issuer ?? ""}\n${text}` };
}
