import { STATUS_CODES } from "node:http";
import { ConduitError } from "../model/errors.ts";
import type { AnswerHead } from "./exchange.ts";
import { TARGET_MAX_BYTES } from "./request-target.ts";

/** Ends a request line. */
const LINE_FEED = 10;

/** Our code for what `node:http` reports on a connection; undefined = the connection is gone, nothing can be said. */
export function parserFailure(cause: Error): ConduitError | undefined {
  const { code = "", rawPacket } = cause as { code?: string; rawPacket?: Uint8Array };
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new ConduitError("request_timeout", { cause });
  if (code === "HPE_HEADER_OVERFLOW") {
    const isTarget = rawPacket !== undefined && isOverlongTarget(rawPacket);
    return new ConduitError(isTarget ? "target_too_long" : "head_too_large", { cause });
  }
  return code.startsWith("HPE_") ? new ConduitError("bad_request", { cause }) : undefined;
}

/** Whether a packet begins with a request line that has not ended after the longest one allowed. */
function isOverlongTarget(packet: Uint8Array): boolean {
  const end = packet.indexOf(LINE_FEED);
  const isRequestLine = /^[A-Z]+ /.test(Buffer.from(packet.subarray(0, 20)).toString("latin1"));
  return isRequestLine && (end < 0 || end > TARGET_MAX_BYTES + 20);
}

/** An answer as bytes, for sockets whose parser has given up. */
export function rawAnswer({ status, headerLines }: AnswerHead, body: string): string {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`];
  for (let at = 0; at + 1 < headerLines.length; at += 2) lines.push(`${headerLines[at]}: ${headerLines[at + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}
