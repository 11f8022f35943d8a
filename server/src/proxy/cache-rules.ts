/**
 * Whether a header field (lower case) is about caches other than the browser's, which would obey it instead of
 * `Cache-Control`: RFC 9213 and the names that providers put before it (`cloudflare-cdn-cache-control`).
 */
export const isSharedCacheName = (name: string): boolean =>
  name === "surrogate-control" || name.endsWith("cdn-cache-control");

/** What makes two answers of a link differ: the credentials, and the page that asks. */
const VARIES = ["Authorization", "X-Access-Token", "Origin"];
const VARIES_ALONE = VARIES.join(", ");

/** Commas outside quotes: RFC 9110 5.6.1. */
const LIST_COMMA = /,(?=(?:[^"]*"[^"]*")*[^"]*$)/;

/** `Cache-Control` for private caches only: one user's answer must not be served to another (S26). */
export function privateCacheControl(value: string | undefined): string {
  if (value === undefined) return "private";
  const kept = directivesOf(value).filter((directive) => !/^(?:public|private|s-maxage)(?:\s*=|$)/i.test(directive));
  return [...kept, "private"].join(", ");
}

/** `Vary` with what distinguishes users and pages. */
export function privateVary(value: string | undefined): string {
  if (value === undefined) return VARIES_ALONE;
  const names = directivesOf(value);
  if (names.includes("*")) return "*";
  const known = new Set(names.map((name) => name.toLowerCase()));
  return [...names, ...VARIES.filter((name) => !known.has(name.toLowerCase()))].join(", ");
}

const directivesOf = (value: string): string[] =>
  value
    .split(LIST_COMMA)
    .map((directive) => directive.trim())
    .filter((directive) => directive !== "");
