import type { Claims } from "../model/claims.ts";
import { keysOfToken } from "../model/revocation.ts";
import type { JudgedLink } from "./judged-link.ts";

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

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
