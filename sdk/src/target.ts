import { ConduitError } from "./errors.ts";

/** Where credentials may go: the link's own URL, and the other prefixes. */
export interface Target {
  /** The link's URL in normal form, without a trailing slash. */
  readonly url: string;
  /** The absolute URL of a call. Throws `TypeError` for what is no URL, `origin_not_allowed` for one outside the prefixes. */
  resolve(input: string | URL): string;
  /** Whether an absolute, parsed URL lies under one of the prefixes. */
  allows(href: string): boolean;
}

/**
 * Reads the base URL of a link and further allowed prefixes. Throws `TypeError` for a URL with query, fragment or user information, and
 * `origin_not_allowed` for plain http to anything but the own machine, where anyone on the way could read the tokens.
 */
export function parseTarget(url: string | URL, allowedOrigins: readonly string[] = []): Target {
  const base = parsePrefix(url, "url");
  const prefixes = [base, ...allowedOrigins.map((origin) => parsePrefix(origin, "allowedOrigins"))];
  const allows = (href: string, among = prefixes) => among.some((prefix) => href.startsWith(`${prefix}/`));
  return {
    url: base,
    allows: (href) => allows(href),
    resolve(input) {
      const text = String(input);
      const isPath = text.startsWith("/");
      // Compared after parsing: parsers resolve `/../other-link` and its encoded spellings before anything is sent.
      const href = hrefOf(isPath ? base + text : text, "input");
      if (allows(href, isPath ? [base] : prefixes)) return href;
      throw new ConduitError("origin_not_allowed", `Not below ${base}/`);
    },
  };
}

/** The normal form without a trailing slash, so that a prefix always ends at a whole path segment. */
function parsePrefix(url: string | URL, name: string): string {
  const href = hrefOf(url, name);
  if (!/^https?:\/\/[^/?#@]+\/[^?#]*$/.test(href)) {
    throw new TypeError(`${name} must be an http(s) URL, no user, query or fragment`);
  }
  if (!/^(https:|http:\/\/(localhost|127\.[\d.]+|\[::1\])(:\d+)?\/)/.test(href)) {
    throw new ConduitError("origin_not_allowed", `${name} must be https, except on loopback`);
  }
  return href.replace(/\/+$/, "");
}

/** The normal form. Throws `TypeError`, in the place of the parser's own, which does not name the parameter and in Node holds its value. */
function hrefOf(url: string | URL, name: string): string {
  try {
    return new URL(url).href;
  } catch {
    throw new TypeError(`${name} must be an http(s) URL`);
  }
}
