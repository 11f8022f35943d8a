import { ConduitError } from "../model/errors.ts";
import type { ClientAddress } from "../policy/trusted-proxies.ts";
import type { ProxyRequest } from "./exchange.ts";
import { type RequestHead, readHead } from "./request-head.ts";
import { readTarget } from "./request-target.ts";
import type { Accepted } from "./stage-values.ts";
import { type Handshake, readHandshake } from "./websocket/handshake.ts";

/** Of a request line: two spaces, `HTTP/1.1` and the line end. */
const AROUND_TARGET_BYTES = 12;

/** Methods that speak to proxies, and those of RTSP and ICE, which the parser knows too. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  ...["TRACE", "CONNECT", "SOURCE", "DESCRIBE", "ANNOUNCE", "SETUP", "PLAY", "PAUSE", "TEARDOWN"],
  ...["GET_PARAMETER", "SET_PARAMETER", "REDIRECT", "RECORD", "FLUSH"],
]);

/**
 * Stage 1, accept: the rules of HTTP that the parser leaves to us (promises.md S1, S2, S5).
 * @throws ConduitError `bad_request`, `head_too_large`, `target_too_long`, `not_supported`
 */
export function accept(incoming: ProxyRequest, requestId: string, clientAddress: ClientAddress): Accepted {
  const head = readHead(incoming.headerLines, incoming.method.length + incoming.target.length + AROUND_TARGET_BYTES);
  const target = readTarget(incoming.target, head.host);
  // The parser reads HTTP/0.9 and HTTP/2.0 request lines too: neither is what follows on this connection.
  if (incoming.httpVersion !== "1.1" && incoming.httpVersion !== "1.0") {
    throw new ConduitError("bad_request", { detail: "Speak HTTP/1.1 or HTTP/1.0 on this connection" });
  }
  if (NOT_FORWARDED.has(incoming.method)) throw new ConduitError("not_supported");
  checkExpectation(head);
  return {
    incoming,
    requestId,
    head,
    target,
    clientAddress: clientAddress(incoming.peerAddress, head.forwardedFor),
    bodyLength: bodyLengthOf(incoming, head),
    handshake: handshakeOf(incoming, head),
  };
}

/** Any other upgrade would turn the rest of the connection into bytes that nobody judges (h2c smuggling). */
function handshakeOf({ method, isUpgradable, httpVersion }: ProxyRequest, head: RequestHead): Handshake | undefined {
  const [protocol, ...others] = head.upgrade;
  if (protocol === undefined) return undefined;
  const isWebSocket = protocol.toLowerCase() === "websocket" && others.length === 0;
  if (!isWebSocket || !isUpgradable || method !== "GET" || httpVersion !== "1.1") {
    throw new ConduitError("not_supported", { detail: "Upgrading the connection like this is not supported here" });
  }
  if (head.contentLength.length > 0 || head.transferEncoding.length > 0) {
    throw new ConduitError("bad_request", { detail: "A WebSocket handshake has no body" });
  }
  return readHandshake(head);
}

function checkExpectation({ expect }: RequestHead): void {
  if (expect.length === 0) return;
  if (expect.length > 1 || expect[0]?.toLowerCase() !== "100-continue") {
    throw new ConduitError("bad_request", { detail: "The only expectation understood here is Expect: 100-continue" });
  }
}

/** RFC 9112 6.1, 6.3: framing that two readers could read in two ways is refused, or one request hides in another. */
function bodyLengthOf({ httpVersion }: ProxyRequest, head: RequestHead): number | "chunked" {
  const { transferEncoding, contentLength } = head;
  if (transferEncoding.length > 0) {
    if (httpVersion === "1.0") throw badFraming("Transfer-Encoding is not part of HTTP/1.0");
    if (contentLength.length > 0) throw badFraming("Send Transfer-Encoding or Content-Length, not both");
    if (transferEncoding.length > 1 || transferEncoding[0]?.toLowerCase() !== "chunked") {
      throw new ConduitError("not_supported", { detail: "The only transfer coding understood here is chunked" });
    }
    return "chunked";
  }
  if (contentLength.length === 0) return 0;
  const [text = ""] = contentLength;
  if (contentLength.length > 1 || !/^\d{1,15}$/.test(text)) throw badFraming("The Content-Length is not valid");
  return Number(text);
}

const badFraming = (detail: string): ConduitError => new ConduitError("bad_request", { detail });
