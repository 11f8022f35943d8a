import { ConduitError } from "../model/errors.ts";

/** Longest request target in bytes; contract.md 8. */
export const TARGET_MAX_BYTES = 8192;

/** Anything but visible ASCII, and `#`: a fragment is never sent, and who reads it as a path sees another path than we. */
const NOT_IN_TARGET = /[^\x21\x22\x24-\x7e]/;

/** RFC 9110 7.2, strictly: a registered name or address as browsers and clients send it, and a port. */
const HOST = /^(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::\d{1,5})?$/;

const ABSOLUTE = /^https?:\/\/([^/?]*)(.*)$/i;

/** A request target, cut but not decoded. */
export interface RequestTarget {
  /** Authority the request is for. */
  readonly host: string;
  /** Begins with `/`. */
  readonly path: string;
  /** With its `?`; "" when there is none. */
  readonly query: string;
}

/**
 * Reads target and `Host` (RFC 9112 3.2). The authority of an absolute-form target replaces `Host`.
 * @throws ConduitError `bad_request`, `target_too_long`
 */
export function readTarget(target: string, hostLines: readonly string[]): RequestTarget {
  if (target.length > TARGET_MAX_BYTES) throw new ConduitError("target_too_long");
  if (NOT_IN_TARGET.test(target))
    throw badRequest("The request target may hold visible ASCII characters only, and no #");
  const [host, ...others] = hostLines;
  // Two readers that pick different Host lines would route one request to two places.
  if (host === undefined || others.length > 0) throw badRequest("Send exactly one Host header");
  if (!HOST.test(host)) throw badRequest("The Host header is not valid");
  if (target.startsWith("/")) return { host, ...cut(target) };
  const [, authority = "", rest = ""] = ABSOLUTE.exec(target) ?? [];
  if (!HOST.test(authority))
    throw badRequest("The request target must be a path, or an absolute http URL without user");
  return { host: authority, ...cut(rest.startsWith("/") ? rest : `/${rest}`) };
}

function cut(target: string): { path: string; query: string } {
  const at = target.indexOf("?");
  return at < 0 ? { path: target, query: "" } : { path: target.slice(0, at), query: target.slice(at) };
}

const badRequest = (detail: string): ConduitError => new ConduitError("bad_request", { detail });
