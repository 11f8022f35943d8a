import type { FetchBody } from "../../body.ts";
import { type Incoming, type RelayOptions, relay, type UserToken } from "./relay.ts";

/** Options of {@link createProxyHandler}. */
export interface ProxyHandlerOptions extends RelayOptions {
  /**
   * The user's JWT for this request, made or looked up from its session; `null` or `undefined` = not signed in, which answers 401. Gets what
   * Next.js gave the handler. What it throws becomes Next.js' own error page: nothing is sent.
   */
  getToken(request: Request | PagesRequest): UserToken | Promise<UserToken>;
  /** Name of the catch-all segment in the file's path: `path` in `[...path]`, which is the default. */
  readonly param?: string;
}

/** The part of Next.js' `NextApiRequest` that is used: Node's request, and the route's segments. */
export interface PagesRequest extends AsyncIterable<Uint8Array> {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly query: Partial<Record<string, string | string[]>>;
  /** What Next.js' body parser made of the body. */
  readonly body?: unknown;
  readonly readableEnded?: boolean;
}

/** The part of Next.js' `NextApiResponse` that is used. */
export interface PagesResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  write(chunk: Uint8Array): boolean;
  end(): unknown;
  once(event: "close" | "drain", listener: () => void): unknown;
  destroy(): unknown;
  /** Of the compression that Next.js adds. */
  flush?(): void;
}

/** The second argument of an App Router handler; a plain object before Next.js 15. */
export interface RouteContext {
  readonly params?: unknown;
}

/** A handler for both routers: a default export under `pages/api`, and `GET`, `POST` and so on of a `route.ts`. */
export interface ProxyHandler {
  (request: Request, context: RouteContext): Promise<Response>;
  (request: PagesRequest, response: PagesResponse): Promise<void>;
}

/**
 * A route that calls the link in the name of whoever is signed in, so that no token reaches the browser. For a file named `[...path]`.
 *
 * Method, path (encoded segments as they came), query, body bytes, status and streamed answers pass unchanged. The browser's cookies and
 * `Authorization` stay here. Answers 401 `{ "error": "Not authenticated" }` without a token, 403 to requests of other sites, 502 when the
 * proxy cannot be reached. Options out of shape make every call fail with a `TypeError` or `origin_not_allowed`. Under `pages/api` the file must also say `export const config = { api: { bodyParser: false } }`.
 */
export function createProxyHandler(options: ProxyHandlerOptions): ProxyHandler {
  const { param = "path", getToken } = options;
  let send: ReturnType<typeof relay> | undefined;
  const handle = async (request: Request | PagesRequest, second: RouteContext | PagesResponse) => {
    // Not before: `next build` loads this file too, where the settings of the running app may be missing.
    send ??= relay(options);
    if (!("setHeader" in second)) {
      const params = (await second.params) as Record<string, unknown> | undefined;
      const incoming = fromRequest(request as Request, params?.[param]);
      return send(incoming, () => getToken(request));
    }
    const aborter = new AbortController();
    second.once("close", () => aborter.abort());
    const pages = request as PagesRequest;
    const incoming = fromPages(pages, pages.query[param], aborter.signal);
    return write(second, await send(incoming, () => getToken(request)));
  };
  return handle as ProxyHandler;
}

function fromRequest(request: Request, segments: unknown): Incoming {
  const { pathname, search } = new URL(request.url);
  const { method, headers, body, signal } = request;
  return { method, target: pathname + search, segments: count(segments), headers, body, signal };
}

function fromPages(request: PagesRequest, segments: unknown, signal: AbortSignal): Incoming {
  const { method = "GET", url = "/", body, readableEnded } = request;
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) if (value) headers.set(name, String(value));
  const hasBody = headers.has("Transfer-Encoding") || Number(headers.get("Content-Length")) > 0;
  if (hasBody && readableEnded && typeof body !== "string" && !(body instanceof Uint8Array)) {
    throw new TypeError("The body's bytes are gone: export const config = { api: { bodyParser: false } }");
  }
  const sent = hasBody ? ((readableEnded ? body : request) as FetchBody) : null;
  return { method, target: url, segments: count(segments), headers, body: sent, signal };
}

function count(segments: unknown): number {
  return Array.isArray(segments) ? segments.length : 0;
}

async function write(response: PagesResponse, answer: Response): Promise<void> {
  response.statusCode = answer.status;
  answer.headers.forEach((value, name) => {
    response.setHeader(name, value);
  });
  const reader = answer.body?.getReader();
  // One listener for the whole answer, not one for each wait.
  let isClosed = false;
  let resume = () => {};
  response.once("close", () => {
    isClosed = true;
    resume();
  });
  const drained = () =>
    new Promise<void>((resolve) => {
      resume = resolve;
      response.once("drain", resolve);
    });
  try {
    for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
      if (!response.write(chunk.value) && !isClosed) await drained();
      // Next.js' compression would hold events back.
      response.flush?.();
    }
    response.end();
  } catch {
    // Cut short: ended in order, the answer would look whole.
    response.destroy();
  }
}
