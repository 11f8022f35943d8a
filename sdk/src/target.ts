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
      // Neither a path nor an absolute URL is a TypeError here. Compared after parsing: parsers resolve `/../other-link` and its encoded
      // spellings before anything is sent.
      const { href } = new URL(isPath ? base + text : text);
      if (allows(href, isPath ? [base] : prefixes)) return href;
      throw new ConduitError("origin_not_allowed", `Not below ${base}/`);
    },
  };
}

/** The normal form without a trailing slash, so that a prefix always ends at a whole path segment. */
function parsePrefix(url: string | URL, name: string): string {
  const { href } = new URL(url);
  const parts = /^(https?):\/\/([^/?#@]+?)(?::\d+)?(\/[^?#]*)$/.exec(href);
  if (!parts) throw new TypeError(`${name} must be an http(s) URL, no user, query or fragment`);
  if (parts[1] === "http" && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(parts[2] ?? "")) {
    throw new ConduitError("origin_not_allowed", `${name} must be https, except on loopback`);
  }
  return href.replace(/\/+$/, "");
}
