import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import type { Conduit } from "../client.ts";
import { isCurable } from "../curable.ts";
import { ConduitError } from "../errors.ts";
import type { FetchWithAuth } from "../fetch-with-auth.ts";

/** Options for the transports of `@connectrpc/connect-web`. */
export interface ConnectOptions {
  /** The link's URL. */
  readonly baseUrl: string;
  /** Sends both credentials, refreshes, and sends once more after a 401 that a new token can cure. */
  readonly fetch: FetchWithAuth;
}

/**
 * What a transport over `fetch` needs to call a link: `createConnectTransport(connectOptions(conduit))`, likewise `createGrpcWebTransport`.
 * Unary calls and server streams. Refusals of this SDK arrive as the `cause` of a `ConnectError`.
 */
export function connectOptions(conduit: Conduit): ConnectOptions {
  return { baseUrl: conduit.url, fetch: conduit.fetchWithAuth };
}

/**
 * The same for transports that bring their own HTTP (`@connectrpc/connect-node`): sets both credentials and calls once more after a 401 of
 * the proxy that a new token can cure. The transport's `baseUrl` must be the link's, else the call fails with `origin_not_allowed` and nothing
 * is sent. Unary calls and server streams are repeated; client and bidirectional streams, whose input is spent, go out with a fresh token and once.
 * An `unauthenticated` of the upstream, in a stream or not, is passed on. Refusals of this SDK are the `cause` of a `ConnectError`.
 */
export function authInterceptor(conduit: Conduit): Interceptor {
  const { tokens, linkToken, url } = conduit;
  return (next) => async (request) => {
    // The credentials go to this link only, whatever base URL the transport was given; compared as parsed.
    if (!new URL(request.url).href.startsWith(`${url}/`)) {
      throw new ConduitError("origin_not_allowed", `Not below ${url}/; nothing was sent`);
    }
    const attempt = await replayable(request);
    const send = (token: string) => {
      request.header.set("Authorization", `Bearer ${token}`);
      if (linkToken) request.header.set("X-Access-Token", linkToken);
      return next(attempt ? attempt() : request);
    };
    const held = await tokens.acquire({ signal: request.signal, fresh: !attempt });
    try {
      return await send(held.token);
    } catch (error) {
      if (!attempt || !isCurable(refusalOf(error))) throw error;
      const renewed = await tokens.renew(held, request.signal).catch(() => undefined);
      if (!renewed) throw error;
      return send(renewed.token);
    }
  };
}

type AnyRequest = UnaryRequest | StreamRequest;

/** Makes the request anew for each attempt; `undefined` = it can be sent only once. */
async function replayable(request: AnyRequest): Promise<(() => AnyRequest) | undefined> {
  if (!request.stream) return () => request;
  if (request.method.methodKind !== "server_streaming") return undefined;
  // A server stream's one input message comes from an iterator that can be read once.
  const first = await request.message[Symbol.asyncIterator]().next();
  return () => ({ ...request, message: iterate(first.done ? [] : [first.value]) }) as StreamRequest;
}

/** By hand: Hermes compiles no async generators. Connect ends input early by `throw`, and demands that there is one. */
function iterate<T>(values: readonly T[]): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = values[Symbol.iterator]();
      return { next: () => Promise.resolve(iterator.next()), throw: (reason) => Promise.reject(reason) };
    },
  };
}

/** The proxy's code for a call it refused, from the headers that a `ConnectError` keeps as metadata. */
function refusalOf(error: unknown): string | null {
  const metadata = (error as { metadata?: unknown } | null)?.metadata;
  return metadata instanceof Headers ? metadata.get("X-Conduit-Error") : null;
}
