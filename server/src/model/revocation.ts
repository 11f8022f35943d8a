import { hash } from "node:crypto";
import { BUILT_IN_ISSUER_ID } from "./project.ts";
import { issuerName } from "./resource-name.ts";
import type { TokenSource } from "./token-source.ts";

/** What a revocation withdraws. Names of links and issuers are resource names; times are milliseconds since the epoch. */
export type RevocationTarget =
  /** One token, by `jti`. */
  | { readonly kind: "token"; readonly project: string; readonly id: string }
  /** All tokens of one session, by `sid`. `issuer` undefined = whichever of the project's has such a session. */
  | { readonly kind: "session"; readonly project: string; readonly id: string; readonly issuer?: string }
  /** A person's tokens issued until then. `issuer` "" = any of the project's. */
  | {
      readonly kind: "subject";
      readonly project: string;
      readonly issuer: string;
      readonly subject: string;
      readonly issuedBeforeMs: number;
    }
  | { readonly kind: "issuer"; readonly issuer: string; readonly issuedBeforeMs: number }
  | { readonly kind: "link"; readonly link: string; readonly issuedBeforeMs: number }
  /** Everything signed with one key. */
  | { readonly kind: "key"; readonly issuer: string; readonly kid: string };

export type RevocationKind = RevocationTarget["kind"];

/** A revocation as the control plane holds it. */
export interface Revocation {
  /** `projects/{project}/revocations/{revocation}`. */
  readonly name: string;
  readonly target: RevocationTarget;
  /** From then on it stops counting, by the clock. */
  readonly expireTimeMs: number;
  /** For people; "" = none. */
  readonly reason: string;
  readonly createTimeMs: number;
}

/** Bytes of a key: what is looked up by. */
export const REVOCATION_KEY_BYTES = 16;

/** A revocation as the proxies hold it: no names, whole seconds, so that a million of them fit. */
export interface RevocationEntry {
  /** `keyOfTarget` of what it withdraws. */
  readonly targetKey: Uint8Array;
  /** Seconds since the epoch: only tokens issued until then, and those that do not say when; undefined = whenever issued. */
  readonly issuedBeforeS: number | undefined;
  /** Seconds since the epoch. */
  readonly expireTimeS: number;
}

/** What of a verified token can be revoked. */
export interface RevocableToken {
  readonly project: string;
  readonly link: string;
  readonly issuer: string;
  readonly kid: string | undefined;
  readonly jti: string | undefined;
  readonly sid: string | undefined;
  readonly sub: string | undefined;
}

/** What the proxies get of a revocation. It never ends earlier than asked, and begins no earlier than the epoch. */
export const revocationEntryOf = ({ target, expireTimeMs }: Pick<Revocation, "target" | "expireTimeMs">) =>
  ({
    targetKey: keyOfTarget(target),
    issuedBeforeS: "issuedBeforeMs" in target ? Math.max(0, Math.floor(target.issuedBeforeMs / 1000)) : undefined,
    expireTimeS: Math.ceil(expireTimeMs / 1000),
  }) satisfies RevocationEntry;

/** Its name in the config stream: 128 bits of the resource name's SHA-256 in hex, the same length for all. */
export const revocationStreamName = (name: string): string => Buffer.from(shortHash(name)).toString("hex");

/**
 * 128 bits of SHA-256 over one text per target. What a token's signer chooses stands last in the text, so that no claim
 * can imitate another target; and nobody can find a claim whose key is a given other one's, which would be a way to have
 * another person signed out.
 */
export function keyOfTarget(target: RevocationTarget): Uint8Array {
  switch (target.kind) {
    case "token":
      return keyOf("token", target.project, target.id);
    case "session":
      return target.issuer === undefined
        ? keyOf("session", target.project, target.id)
        : keyOf("issuer-session", target.issuer, target.id);
    case "subject":
      return keyOf("subject", target.project, target.issuer, target.subject);
    case "issuer":
      return keyOf("issuer", target.issuer);
    case "link":
      return keyOf("link", target.link);
    case "key":
      return keyOf("key", target.issuer, target.kid);
  }
}

/** The keys of everything that may withdraw a token, one after another. */
export function keysOfToken({ project, link, issuer, kid, jti, sid, sub }: RevocableToken): Uint8Array {
  const keys = [keyOf("issuer", issuer), keyOf("link", link)];
  if (jti !== undefined) keys.push(keyOf("token", project, jti));
  if (sid !== undefined) keys.push(keyOf("session", project, sid), keyOf("issuer-session", issuer, sid));
  if (sub !== undefined) keys.push(keyOf("subject", project, issuer, sub), keyOf("subject", project, "", sub));
  if (kid !== undefined) keys.push(keyOf("key", issuer, kid));
  return new Uint8Array(Buffer.concat(keys));
}

/** The keys of everything that may withdraw the token that one of ours was exchanged for, and those between them. */
export function keysOfSource(
  { issuer, jti, sid, kid, through = [] }: TokenSource,
  { project, link, sub }: Pick<RevocableToken, "project" | "link" | "sub">,
): Uint8Array {
  const own = issuerName(project, BUILT_IN_ISSUER_ID);
  const keys = through.flatMap((token) => [keyOf("token", project, token.jti), keyOf("key", own, token.kid)]);
  return new Uint8Array(Buffer.concat([keysOfToken({ project, link, issuer, kid, jti, sid, sub }), ...keys]));
}

const keyOf = (...parts: readonly string[]): Uint8Array => shortHash(parts.join("\n"));

const shortHash = (text: string): Uint8Array =>
  new Uint8Array(hash("sha256", text, "buffer")).subarray(0, REVOCATION_KEY_BYTES);
