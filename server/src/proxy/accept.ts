import { ConduitError } from "../model/errors.ts";
import type { ClientAddress } from "./client-address.ts";
import type { ProxyRequest } from "./exchange.ts";
import { type RequestHead, readHead } from "./request-head.ts";
import { readTarget } from "./request-target.ts";
import type { Accepted } from "./stage-values.ts";

/**
 * Stage 1, accept: the rules of HTTP that the parser leaves to us (promises.md S1, S2, S5).
 * @throws ConduitError `bad_request`, `head_too_large`, `target_too_long`, `not_supported`
 */
export function accept(incoming: ProxyRequest, requestId: string, clientAddress: ClientAddress): Accepted {
  const head = readHead(incoming.headerLines);
  const target = readTarget(incoming.target, head.host);
  if (incoming.method === "TRACE" || incoming.method === "CONNECT") throw new ConduitError("not_supported");
  // An upgrade would turn the rest of the connection into bytes that nobody judges (h2c smuggling).
  if (head.upgrade.length > 0) {
    throw new ConduitError("not_supported", { detail: "Upgrading the connection is not supported here" });
  }
  checkExpectation(head);
  return {
    incoming,
    requestId,
    head,
    target,
    clientAddress: clientAddress(incoming.peerAddress, head.forwardedFor),
    bodyLength: bodyLengthOf(incoming, head),
  };
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
