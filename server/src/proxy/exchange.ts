import type { Duplex, Readable } from "node:stream";

/** A request as the stages see it: plain values, read once by `http-adapter.ts`. */
export interface ProxyRequest {
  readonly method: string;
  /** Request target exactly as received. */
  readonly target: string;
  /** `1.1` or `1.0`. */
  readonly httpVersion: string;
  /** Name, value, name, value … exactly as received (latin1). */
  readonly headerLines: readonly string[];
  /** The connection can be handed over after a 101 (`AnswerSink.switchProtocols`). */
  readonly isUpgradable: boolean;
  /** Address of the TCP peer. */
  readonly peerAddress: string;
  /** Whether the client's connection is encrypted, here or in front of us. */
  readonly isTls: boolean;
  readonly body: RequestBody;
}

/** The body of a request, not read yet. */
export interface RequestBody {
  /**
   * Starts reading, once; only now does a client that sent `Expect: 100-continue` get its 100. The stream fails with
   * `ConduitError`: `body_too_large` beyond `maxBytes`, `request_timeout`, `bad_request` (framing, client gone).
   * Destroying it leaves the client's connection alone. Throws the same when the body has failed already.
   */
  open(maxBytes: number): Readable;
  /** Body bytes received so far. */
  readonly receivedBytes: number;
}

/** Head of an answer. */
export interface AnswerHead {
  readonly status: number;
  /** Name, value, name, value … as they will be sent. */
  readonly headerLines: readonly string[];
}

/** Work that can be given up. */
export interface Abortable {
  abort(): void;
}

/** A body that arrives while it is being sent (an upstream's). `abort`: its socket is closed, nothing more comes. */
export interface AnswerBody extends Abortable {
  /** Hands everything to the receiver from now on, what has arrived already included. */
  flowTo(receiver: BodyReceiver): void;
  /** The receiver can take more after `write` had returned false. */
  resume(): void;
}

/** Where an answer's body goes. */
export interface BodyReceiver {
  /** False = wait for `resume` before the next one. */
  write(chunk: Uint8Array): boolean;
  /** The body is complete. */
  end(lastChunk?: Uint8Array): void;
  /** The rest will never come: the answer must end visibly broken, not shorter. */
  fail(cause: Error): void;
}

/** What became of an answer. */
export interface AnswerEnd {
  readonly sentBytes: number;
  /** The client went away before it had everything. */
  readonly isClientGone: boolean;
  /** Why the body broke off on the upstream's side. */
  readonly failure?: Error;
}

/** Where a request's one answer goes. */
export interface AnswerSink {
  /** True once the client has gone away: nothing can be answered. */
  readonly isGone: boolean;
  /** Aborted once when the client goes away before the answer is complete, or has gone already. */
  onGone(work: Abortable): void;
  /** Sends an answer that is complete already. `body` is left out for HEAD. */
  send(head: AnswerHead, body: string): Promise<AnswerEnd>;
  /** Sends an answer whose body is still coming. */
  stream(head: AnswerHead, body: AnswerBody): Promise<AnswerEnd>;
  /**
   * Sends a 101 and hands over the connection, with what the client has sent since its handshake; nothing of HTTP follows.
   * Throws `TypeError` when the request was not upgradable.
   */
  switchProtocols(head: AnswerHead): Duplex;
}
