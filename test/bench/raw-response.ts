/** What the load generator needs to know of an answer. */
export interface RawResponse {
  readonly status: number;
  /** Bytes of head and body. */
  readonly length: number;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("\r\n0\r\n\r\n");

/**
 * Reads an HTTP/1.1 answer at the start of `bytes`; undefined = not whole yet. Enough for a benchmark: Content-Length or
 * chunked without trailers and without that byte sequence inside a chunk.
 */
export function readResponse(bytes: Buffer): RawResponse | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const status = Number(head.slice(9, 12));
  const bodyStart = headEnd + HEAD_END.length;
  if (status === 204 || status === 304) return { status, length: bodyStart };
  const declared = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  const length = declared === undefined ? chunkedEnd(bytes, headEnd) : bodyStart + Number(declared);
  return length === undefined || bytes.length < length ? undefined : { status, length };
}

function chunkedEnd(bytes: Buffer, headEnd: number): number | undefined {
  // The empty body's last chunk begins with the head's own CR LF.
  const last = bytes.indexOf(LAST_CHUNK, headEnd + 2);
  return last < 0 ? undefined : last + LAST_CHUNK.length;
}
