// A small upstream that remembers what it was asked: the witness for "nothing arrived" and "exactly this arrived".
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

export interface RecordedRequest {
  readonly method: string;
  /** The request target exactly as it stood in the request line. */
  readonly target: string;
  /** Header lines in order, names as they were written. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** All values of a header, whatever the case of its name. */
  header(name: string): string[];
  /** Empty when the server was started with `readBody: false`. */
  readonly body: Buffer;
}

export interface Answer {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Objects are sent as JSON. */
  readonly body?: string | Uint8Array | object;
}

/** Returns the answer, or `undefined` when it writes to `response` itself. */
export type Answerer = (
  request: RecordedRequest,
  raw: { request: IncomingMessage; response: ServerResponse },
) => Answer | undefined | Promise<Answer | undefined>;

export interface HttpServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, no trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Every request so far, in order of arrival of its last body byte. */
  readonly requests: readonly RecordedRequest[];
  /** TCP connections accepted so far. */
  readonly connections: number;
  readonly server: Server;
  /** Forgets the requests so far. */
  clear(): void;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

/** Starts a server on 127.0.0.1; `readBody: false` calls `answer` at the end of the head, for streaming. */
export async function startHttpServer(
  answer: Answerer = () => ({}),
  { readBody = true, port = 0 }: { readBody?: boolean; port?: number } = {},
): Promise<HttpServer> {
  const requests: RecordedRequest[] = [];
  const server = createServer((request, response) => {
    record(request, readBody)
      .then(async (recorded) => {
        requests.push(recorded);
        send(response, await answer(recorded, { request, response }));
      })
      // The client went away, or the test's own function threw: either way this exchange is over.
      .catch((cause: unknown) => response.destroy(cause instanceof Error ? cause : new Error(String(cause))));
  });
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const bound = (server.address() as AddressInfo).port;
  const close = async () => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    requests,
    server,
    close,
    clear: () => requests.splice(0),
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: close,
  };
}

async function record(request: IncomingMessage, readBody: boolean): Promise<RecordedRequest> {
  const { rawHeaders } = request;
  const headers = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ""] as const] : [],
  );
  return {
    method: request.method ?? "",
    target: request.url ?? "",
    headers,
    header: (wanted) =>
      headers.filter(([name]) => name.toLowerCase() === wanted.toLowerCase()).map(([, value]) => value),
    body: readBody ? await buffer(request) : Buffer.alloc(0),
  };
}

function send(response: ServerResponse, answer: Answer | undefined): void {
  if (answer === undefined) return;
  const { status = 200, headers = {}, body = "" } = answer;
  const isBytes = typeof body === "string" || body instanceof Uint8Array;
  response.statusCode = status;
  if (!isBytes) response.setHeader("content-type", "application/json");
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(isBytes ? body : JSON.stringify(body));
}
