import type { Claims } from "../model/claims.ts";
import { parseStrictObject } from "./strict-json.ts";
import { JWT_ERRORS, malformed, TokenFault } from "./token-fault.ts";

/** Longest user token that is looked at, in bytes (contract.md 8). */
export const TOKEN_MAX_BYTES = 16 * 1024;

/** A JWS that has the strict compact form. Nothing in it is verified. */
export interface StrictJws {
  /** As sent: its only spelling. */
  readonly text: string;
  readonly algorithm: string;
  readonly kid: string | undefined;
  readonly typ: string | undefined;
  /** As it stands in the text. */
  readonly payloadPart: string;
}

/** A JWS whose payload is a strict JSON object, as a JWT's must be. */
export interface StrictToken extends StrictJws {
  readonly claims: Claims;
}

/** Last characters that leave no stray bits behind, by length modulo 4 (RFC 4648 3.5). */
const LAST_CHARACTER: readonly (RegExp | undefined)[] = [/$/, undefined, /[AQgw]$/, /[AEIMQUYcgkosw048]$/];
const ALPHABET = /^[A-Za-z0-9_-]*$/;

/** Header members that bring a key or an address of one along: the signer would choose what he is checked with (RFC 8725 3.10). */
const KEY_MEMBERS = ["jwk", "jku", "x5u", "x5c"] as const;

/** Beginnings of our own opaque tokens, each with where it belongs. */
const MISPLACED: readonly (readonly [prefix: string, detail: string])[] = [
  ["cl_pub_", "This is a link token: send it in the X-Access-Token header, and the user's JWT here"],
  ["cl_", "This is a credential of the API, not a user's JWT"],
];

/** Reads a JWT: a JWS in strict form (`parseStrictJws`) whose payload is a strict JSON object (`strict-json.ts`). */
export function parseStrictForm(text: string): StrictToken | TokenFault {
  const jws = parseStrictJws(text);
  if (jws instanceof TokenFault) return jws;
  const claims = parseStrictObject(Buffer.from(jws.payloadPart, "base64url"));
  return claims === undefined
    ? malformed("The token's payload must be a JSON object with unique names")
    : { ...jws, claims };
}

/**
 * Reads a JWS in compact form (RFC 7515 7.1) in the one spelling it has: three parts of canonical base64url, the header a
 * strict JSON object. Extensions (`crit`, `b64`) and keys in the header are refused; the signature may be empty, so that
 * `alg: none` is answered by the algorithm rule.
 */
export function parseStrictJws(text: string): StrictJws | TokenFault {
  if (text.length > TOKEN_MAX_BYTES) return malformed("The token is longer than 16 KiB");
  const parts = text.split(".", 6);
  if (parts.length === 5) {
    return new TokenFault("token_malformed", JWT_ERRORS.encrypted, { detail: JWT_ERRORS.encrypted });
  }
  const [headerPart, payloadPart, signaturePart] = parts;
  if (parts.length !== 3 || headerPart === undefined || payloadPart === undefined || signaturePart === undefined) {
    return malformed(misplacedDetail(text) ?? "A JWT has three parts separated by dots");
  }
  if (!isCanonical(headerPart) || !isCanonical(payloadPart) || !isCanonical(signaturePart)) {
    return malformed("The token's parts must be canonical base64url without padding");
  }
  const header = readHeader(parseStrictObject(Buffer.from(headerPart, "base64url")));
  return header instanceof TokenFault ? header : { text, payloadPart, ...header };
}

/** Whether re-encoding what this decodes to gives the same text: a second spelling of one token would pass a cache or a revocation. */
function isCanonical(part: string): boolean {
  return LAST_CHARACTER[part.length % 4]?.test(part) === true && ALPHABET.test(part);
}

const misplacedDetail = (text: string): string | undefined =>
  MISPLACED.find(([prefix]) => text.startsWith(prefix))?.[1];

function readHeader(
  header: Readonly<Record<string, unknown>> | undefined,
): Pick<StrictJws, "algorithm" | "kid" | "typ"> | TokenFault {
  if (header === undefined) return malformed("The token's header must be a JSON object with unique names");
  const { alg, kid, typ } = header;
  if (typeof alg !== "string") return malformed("The token's header must name its algorithm in alg");
  if (!isTextOrAbsent(kid) || !isTextOrAbsent(typ))
    return malformed("The token's header must have texts in kid and typ");
  const own = KEY_MEMBERS.find((name) => Object.hasOwn(header, name));
  if (own !== undefined) return malformed(`The token's header must not bring a key along (${own})`);
  // RFC 7515 4.1.11: what is critical must be understood; we understand none. RFC 7797 6: b64 comes only with crit.
  const extension = ["crit", "b64"].find((name) => Object.hasOwn(header, name));
  if (extension !== undefined) return malformed(`The token's header uses an extension (${extension})`);
  return { algorithm: alg, kid, typ };
}

const isTextOrAbsent = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === "string";
