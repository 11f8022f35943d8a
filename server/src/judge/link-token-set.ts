import type { LinkToken } from "../model/link-token.ts";
import { hashToken, isTokenOf } from "../model/token-string.ts";
import { type Network, parseNetwork } from "../policy/client-address.ts";

/** A link token with its networks read once. */
export interface CompiledLinkToken {
  readonly token: LinkToken;
  /** Those that could be read: a token is refused where only another would admit it. */
  readonly networks: readonly Network[];
}

/** The tokens of one link: few, so a list is searched faster than a table is kept for each of 100,000 links. */
export class LinkTokenSet {
  readonly #tokens: readonly CompiledLinkToken[];
  /** Texts that were found before: at most one per token, so hashing is done once. */
  #byText: Map<string, CompiledLinkToken> | undefined;

  constructor(tokens: readonly LinkToken[]) {
    this.#tokens = tokens.map((token) => ({ token, networks: networksOf(token) }));
  }

  /** The token with this text; undefined = none of this link. Says nothing about its expiry. */
  find(text: string): CompiledLinkToken | undefined {
    const known = this.#byText?.get(text);
    // The form and checksum first: garbage costs no hash. The hash is of a random text, so comparing it leaks nothing.
    if (known !== undefined || !isTokenOf("linkToken", text)) return known;
    const hash = hashToken(text);
    const found = this.#tokens.find(({ token }) => token.tokenHash === hash);
    if (found === undefined) return undefined;
    this.#byText ??= new Map();
    this.#byText.set(text, found);
    return found;
  }

  /** Whether a token of the link is bound to this origin, among others. */
  listsOrigin(origin: string): boolean {
    return this.#tokens.some(({ token }) => token.allowedOrigins.includes(origin));
  }
}

const networksOf = ({ allowedAddresses }: LinkToken): readonly Network[] =>
  allowedAddresses.map(parseNetwork).flatMap((parsed) => ("value" in parsed ? [parsed.value] : []));
