import { type buildConnector, Client, type Dispatcher } from "undici";
import type { Dialer } from "./dialer.ts";
import { UnaskedContinue } from "./unasked-continue.ts";

/** Where a pool's connections lead. Links that differ in any of these do not share connections. */
export interface UpstreamOrigin {
  /** `https://host[:port]`. */
  readonly origin: string;
  /** The operator's word for this link. */
  readonly allowPrivate: boolean;
  readonly connectTimeoutMs: number;
  /** Authorities (PEM) for TLS, instead of the system's. */
  readonly caCertificates?: string;
}

/** One connection at a time to one upstream; opened when it is needed, opened again when it was lost. */
export class UpstreamClient extends Client {
  readonly #unaskedContinue: UnaskedContinue;

  constructor(origin: string, options: Client.Options & { readonly connect: buildConnector.connector }) {
    const unaskedContinue = new UnaskedContinue();
    const connect: buildConnector.connector = (target, callback) =>
      options.connect(target, (...[cause, socket]: Parameters<buildConnector.Callback>) => {
        // On failure undici leaves the second one out.
        if (cause !== null) return callback(cause, null);
        unaskedContinue.attach(socket);
        callback(null, socket);
      });
    super(origin, { ...options, connect });
    this.#unaskedContinue = unaskedContinue;
  }

  /** A request is being sent on it. */
  expectAnswer(): void {
    this.#unaskedContinue.expectAnswer();
  }
}

/** What a client tells about one exchange. */
export type UpstreamHandler = Dispatcher.DispatchHandler;
/** Steers one exchange: pause, resume, abort (which closes the connection). */
export type UpstreamController = Dispatcher.DispatchController;
export type CreateUpstreamClient = (origin: UpstreamOrigin) => UpstreamClient;

/** Longest head of an answer; the same bound as for requests (contract.md 8). */
const ANSWER_HEAD_MAX_BYTES = 32 * 1024;

/** A connection without a request is closed after this time, or earlier when the upstream says so (`Keep-Alive`). */
const IDLE_MS = 4_000;
const IDLE_MAX_MS = 60_000;

/**
 * Makes upstream clients through the dialer. HTTP/1.1, never pipelined: an answer's surplus bytes find no second request
 * they could be taken for (S4). Redirects are not followed, paths not normalised. Timers of the answer are the caller's.
 */
export function createUpstreamClients(dial: Dialer): CreateUpstreamClient {
  return ({ origin, ...address }) =>
    new UpstreamClient(origin, {
      connect: dial(address),
      allowH2: false,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MAX_MS,
      maxHeaderSize: ANSWER_HEAD_MAX_BYTES,
      strictContentLength: true,
    });
}
