import type { Claims } from "../model/claims.ts";
import type { Issuer } from "../model/issuer.ts";
import { keysOfSource, keysOfToken } from "../model/revocation.ts";
import { readTokenSource } from "../model/token-source.ts";
import type { JudgedLink } from "./judged-link.ts";
import type { SourceRevocation } from "./user.ts";

/**
 * By what a user's token may have been withdrawn. Hashed when first asked for and then remembered with the user: requests
 * with a token that was verified before look up and hash nothing.
 */
export function revocationKeysOf(
  { project, link }: JudgedLink,
  issuer: string,
  kid: string | undefined,
  { jti, sid, sub }: Claims,
): () => Uint8Array {
  let keys: Uint8Array | undefined;
  return () => {
    keys ??= keysOfToken({
      ...{ project, link: link.name, issuer, kid },
      ...{ jti: textOf(jti), sid: textOf(sid), sub: textOf(sub) },
    });
    return keys;
  };
}

/**
 * By what the token may have been withdrawn that a user's token was exchanged for; undefined = it was for none. Only the
 * project's own issuer is asked: of others the claim says nothing.
 */
export function sourceRevocationOf(link: JudgedLink, issuer: Issuer, claims: Claims): SourceRevocation | undefined {
  const source = issuer.keys.kind === "built_in" ? readTokenSource(claims) : undefined;
  if (source === undefined) return undefined;
  const { project, link: it } = link;
  const token = { project, link: it.name, sub: textOf(claims.sub) };
  let keys: Uint8Array | undefined;
  return {
    keys: () => {
      keys ??= keysOfSource(source, token);
      return keys;
    },
    iat: source.iat,
  };
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
