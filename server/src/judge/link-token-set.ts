import type { LinkToken } from "../model/link-token.ts";
import { hashToken, isTokenOf } from "../model/token-string.ts";
import { type Network, parseNetwork } from "../policy/client-address.ts";

/** A link token with its restrictions read once. */
export interface CompiledLinkToken {
  readonly token: LinkToken;
  readonly origins: ReadonlySet<string>;
  readonly networks: readonly Network[];
}

/** The tokens of one link. */
export class LinkTokenSet {
  readonly #byHash: ReadonlyMap<string, CompiledLinkToken>;
  /** Texts that were found before: at most one per token, so hashing is done once. */
  readonly #byText = new Map<string, CompiledLinkToken>();

  constructor(tokens: readonly CompiledLinkToken[]) {
    this.#byHash = new Map(tokens.map((compiled) => [compiled.token.tokenHash, compiled]));
  }

  /** The token with this text; undefined = none of this link. Says nothing about its expiry. */
  find(text: string): CompiledLinkToken | undefined {
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    // The form and checksum first: garbage costs no hash. The hash is of a random text, so comparing it leaks nothing.
    const found = isTokenOf("linkToken", text) ? this.#byHash.get(hashToken(text)) : undefined;
    if (found !== undefined) this.#byText.set(text, found);
    return found;
  }
}

/** Reads a token's restrictions; networks that cannot be read are left out, so the token is refused where only they would admit it. */
export function compileLinkToken(token: LinkToken): CompiledLinkToken {
  const networks = token.allowedAddresses.map(parseNetwork);
  return {
    token,
    origins: new Set(token.allowedOrigins),
    networks: networks.flatMap((parsed) => ("value" in parsed ? [parsed.value] : [])),
  };
}
