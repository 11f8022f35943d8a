import { createServer, type RequestListener, type ServerOptions } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { drainOf } from "./drain.ts";
import { bind, type ListenAddress, type Listener } from "./port.ts";

/** PEM texts: the certificate chain and its key. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
}

type OnSocket = (request: Parameters<RequestListener>[0], socket: Duplex, head: Buffer) => void;

/** Listeners of a `node:http` server, by event. What is absent behaves as Node does by default. */
export interface HttpHandlers {
  readonly request: RequestListener;
  readonly checkContinue?: RequestListener;
  readonly checkExpectation?: RequestListener;
  readonly upgrade?: OnSocket;
  readonly connect?: OnSocket;
  readonly clientError?: (error: Error, socket: Duplex) => void;
}

export interface HttpListenerOptions extends ListenAddress {
  readonly handlers: HttpHandlers;
  /** Limits of the parser and its clocks. */
  readonly serverOptions?: ServerOptions;
  /** Absent = plain HTTP. */
  readonly tls?: TlsMaterial | undefined;
  /** Header lines looked at; the parser drops further ones silently, so judge by a lower number. Node's default: 2,000. */
  readonly maxHeadersCount?: number;
  /** Called when draining begins: end what would never end by itself. */
  readonly onDrain?: () => void;
}

/** A peer that does not finish its handshake must not hold a socket, or a drain, for Node's two minutes. */
const TLS_OPTIONS = { handshakeTimeout: 10_000, minVersion: "TLSv1.2" } as const;

/** An HTTP/1.1 server that accepts connections. @throws ExitError (3) when it cannot bind */
export async function listenHttp(options: HttpListenerOptions): Promise<Listener> {
  const { tls, serverOptions = {}, handlers } = options;
  const server =
    tls === undefined ? createServer(serverOptions) : createTlsServer({ ...serverOptions, ...TLS_OPTIONS, ...tls });
  if (options.maxHeadersCount !== undefined) server.maxHeadersCount = options.maxHeadersCount;
  const drain = drainOf(server, tls !== undefined, handlers.upgrade !== undefined);
  for (const [event, handler] of Object.entries(handlers)) server.on(event, handler);
  const address = await bind(server, options);
  return {
    address,
    drain: (graceMs) => {
      options.onDrain?.();
      return drain(graceMs);
    },
  };
}
