import { isLoopbackHost } from "../model/address.ts";
import { isAmbiguousPath } from "./path-ambiguity.ts";

/** Scheme, authority, and the rest as written: URL parsers repair so much that the text itself must be plain. */
const PLAIN_URL = /^(https?):\/\/([^\s/?#\\]+)([^\s?#\\]*)(\?[^\s#\\]*)?(#.*)?$/i;

const WRONG_SCHEME = "must be an https URL; plain http is only for loopback hosts";

/** What is wrong with a URL the server is to call: https (http to loopback), no userinfo, no fragment. Public text. */
export function outboundUrlProblem(text: string): string | undefined {
  const match = PLAIN_URL.exec(text);
  const url = match === null ? null : URL.parse(text);
  if (match === null || url === null) return WRONG_SCHEME;
  // `https://good.example@evil.example/` reads like another host, and its password would stand in lists and logs.
  if (match[2]?.includes("@") === true) return "must not contain a user name or password";
  if (match[5] !== undefined) return "must not have a fragment";
  return url.protocol === "http:" && !isLoopbackHost(url.hostname) ? WRONG_SCHEME : undefined;
}

/** What is wrong with an upstream's base URL: also no query, and a path with one reading, since requests are appended. */
export function baseUrlProblem(text: string): string | undefined {
  const problem = outboundUrlProblem(text);
  if (problem !== undefined) return problem;
  const [, , , path = "", query] = PLAIN_URL.exec(text) ?? [];
  if (query !== undefined) return "must not have a query";
  return path !== "" && isAmbiguousPath(path, false)
    ? "must not have dot segments, empty segments or encoded separators"
    : undefined;
}

/** An origin of an app shell (`capacitor://localhost`), which URL parsers call `null`. */
const OTHER_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]+(?::[1-9]\d{0,4})?$/;

/** What is wrong with an origin: it must be written as browsers send it (RFC 6454 6.1), or it would match nothing. */
export function originProblem(text: string): string | undefined {
  if (text === "*") return "must be an origin; leave the list empty for any";
  // A host that no page has, so it would match nothing, without a word.
  if (text.includes("*")) return "must be one origin: placeholders match nothing, list each";
  // Any sandboxed page and local file has this origin.
  if (text === "null") return "must not be null: any page can have that origin";
  const isWeb = /^https?:/i.test(text);
  const isSerialised = isWeb ? URL.parse(text)?.origin === text : OTHER_ORIGIN.test(text);
  return isSerialised
    ? undefined
    : "must be an origin as browsers send it: https://app.example, no path, no default port";
}
