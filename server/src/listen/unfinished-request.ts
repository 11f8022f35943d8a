import { constants, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";

/** A whole request must arrive within the deadline of a unary call (contract.md 8), as on the HTTP port. */
const REQUEST_MAX_MS = 60_000;

/** Where grpc-js keeps what it listens with. Not public: a test fails when an upgrade moves it. */
interface Listening {
  readonly http2Servers: ReadonlyMap<Http2Server, unknown>;
}

/**
 * Ends calls whose request does not end, of a server that is bound. grpc-js waits for it without bound and before our
 * gate is asked, so that strangers could hold as many calls as connections allow, for as long as they like.
 */
export function endUnfinishedRequests(server: Server, maxMs = REQUEST_MAX_MS): void {
  for (const http2 of (server as unknown as Listening).http2Servers.keys())
    http2.on("stream", (stream) => limit(stream, maxMs));
}

function limit(stream: ServerHttp2Stream, maxMs: number): void {
  const timer = setTimeout(() => {
    // What is being answered while it is asked, reflection, may go on.
    if (!stream.headersSent) stream.close(constants.NGHTTP2_CANCEL);
  }, maxMs).unref();
  const forget = (): void => clearTimeout(timer);
  stream.once("end", forget);
  stream.once("close", forget);
}
