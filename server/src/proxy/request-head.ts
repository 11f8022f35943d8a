import { ConduitError } from "../model/errors.ts";

/** Lines of a request head; contract.md 8. */
const HEADER_LINES_MAX = 200;
/** Bytes of a request head, counted as `name: value` and its line end; the parser's own count leaves some out. */
const HEAD_MAX_BYTES = 32 * 1024;
/** `: ` and the line end. */
const LINE_OVERHEAD_BYTES = 4;
/** The empty line. */
const END_BYTES = 2;

/** The header fields the stages look at, picked out in one pass. Lists hold one entry per line, in order. */
export interface RequestHead {
  /** Lower-case names by line: `names[i]` belongs to `headerLines[2 * i]`. */
  readonly names: readonly string[];
  readonly host: readonly string[];
  readonly transferEncoding: readonly string[];
  readonly contentLength: readonly string[];
  readonly connection: readonly string[];
  readonly upgrade: readonly string[];
  readonly expect: readonly string[];
  readonly authorization: readonly string[];
  readonly linkToken: readonly string[];
  readonly debugJwt: readonly string[];
  readonly origin: readonly string[];
  readonly cookie: readonly string[];
  readonly fetchSite: readonly string[];
  readonly via: readonly string[];
  readonly forwardedFor: readonly string[];
  readonly requestedMethod: readonly string[];
  readonly requestedHeaders: readonly string[];
  readonly webSocketKey: readonly string[];
  readonly webSocketVersion: readonly string[];
  readonly webSocketProtocol: readonly string[];
  readonly webSocketExtensions: readonly string[];
}

type Picked = Exclude<keyof RequestHead, "names">;

/** Lower-case name → field. */
const PICKED = new Map<string, Picked>([
  ["host", "host"],
  ["transfer-encoding", "transferEncoding"],
  ["content-length", "contentLength"],
  ["connection", "connection"],
  ["upgrade", "upgrade"],
  ["expect", "expect"],
  ["authorization", "authorization"],
  ["x-access-token", "linkToken"],
  ["x-debug-jwt", "debugJwt"],
  ["origin", "origin"],
  ["cookie", "cookie"],
  ["sec-fetch-site", "fetchSite"],
  ["via", "via"],
  ["x-forwarded-for", "forwardedFor"],
  ["access-control-request-method", "requestedMethod"],
  ["access-control-request-headers", "requestedHeaders"],
  ["sec-websocket-key", "webSocketKey"],
  ["sec-websocket-version", "webSocketVersion"],
  ["sec-websocket-protocol", "webSocketProtocol"],
  ["sec-websocket-extensions", "webSocketExtensions"],
]);

const NONE: readonly string[] = [];

const EMPTY: Omit<RequestHead, "names"> = {
  host: NONE,
  transferEncoding: NONE,
  contentLength: NONE,
  connection: NONE,
  upgrade: NONE,
  expect: NONE,
  authorization: NONE,
  linkToken: NONE,
  debugJwt: NONE,
  origin: NONE,
  cookie: NONE,
  fetchSite: NONE,
  via: NONE,
  forwardedFor: NONE,
  requestedMethod: NONE,
  requestedHeaders: NONE,
  webSocketKey: NONE,
  webSocketVersion: NONE,
  webSocketProtocol: NONE,
  webSocketExtensions: NONE,
};

/**
 * Reads the lines of a head. Judged lines = parsed lines (S1).
 * @param startBytes length of the request line with its line end
 * @throws ConduitError `head_too_large` above 200 lines or 32 KiB
 */
export function readHead(headerLines: readonly string[], startBytes: number): RequestHead {
  if (headerLines.length > 2 * HEADER_LINES_MAX) throw new ConduitError("head_too_large");
  let bytes = startBytes + END_BYTES + (headerLines.length / 2) * LINE_OVERHEAD_BYTES;
  const names: string[] = [];
  const picked: Record<Picked, readonly string[]> = { ...EMPTY };
  for (let at = 0; at + 1 < headerLines.length; at += 2) {
    const name = (headerLines[at] as string).toLowerCase();
    names.push(name);
    bytes += name.length + (headerLines[at + 1] as string).length;
    const field = PICKED.get(name);
    if (field === undefined) continue;
    const value = headerLines[at + 1] as string;
    picked[field] = picked[field] === NONE ? [value] : [...picked[field], value];
  }
  if (bytes > HEAD_MAX_BYTES) throw new ConduitError("head_too_large");
  return { names, ...picked };
}
