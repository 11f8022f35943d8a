import type { Link } from "../model/link.ts";
import type { LinkToken } from "../model/link-token.ts";

/**
 * Whose pages may read what a link answers (contract.md 6): the link's origins and its tokens' together; undefined = any,
 * when the link lists none and not every way in has origins of its own.
 */
export function linkOrigins(
  link: Pick<Link, "cors" | "linkTokenMode">,
  tokens: readonly Pick<LinkToken, "allowedOrigins">[],
): ReadonlySet<string> | undefined {
  const { origins } = link.cors;
  if (origins.length === 0 && !everyWayInHasOrigins(link, tokens)) return undefined;
  return new Set([...origins, ...tokens.flatMap((token) => token.allowedOrigins)]);
}

/** A way in is a token, or none at all where the mode lets one. No way in counts as open: refusals stay readable. */
function everyWayInHasOrigins(
  { linkTokenMode }: Pick<Link, "linkTokenMode">,
  tokens: readonly Pick<LinkToken, "allowedOrigins">[],
): boolean {
  if (linkTokenMode !== "REQUIRED" || tokens.length === 0) return false;
  return tokens.every((token) => token.allowedOrigins.length > 0);
}
