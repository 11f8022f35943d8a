import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ConduitError } from "../model/errors.ts";
import type { Abortable, AnswerBody, AnswerEnd, AnswerHead, AnswerSink, BodyReceiver } from "./exchange.ts";
import type { HttpBody } from "./http-body.ts";
import { rawAnswer } from "./parser-failure.ts";

/** What is read of a body nobody wants, so that the client sees its answer before the connection closes (S3). */
const DRAIN_MAX_BYTES = 256 * 1024;
const DRAIN_MAX_MS = 2_000;

/** How long a client may take nothing of an answer that is complete on our side, before its connection is cut. */
const READ_IDLE_MS = 300_000;

/** A connection whose parser has stopped, and what came behind the request. */
export interface Upgradable {
  readonly socket: Duplex;
  readonly head: Uint8Array;
}

export interface HttpAnswerOptions {
  /** Given when the connection may be handed over. */
  readonly upgradable?: Upgradable | undefined;
  /** Default 300 s. */
  readonly readIdleMs?: number | undefined;
}

/** The one answer to a `node:http` request. */
export class HttpAnswer implements AnswerSink, BodyReceiver {
  readonly #incoming: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #requestBody: HttpBody;
  readonly #upgradable: Upgradable | undefined;
  readonly #readIdleMs: number;
  #readTimer: NodeJS.Timeout | undefined;
  readonly #ended: Promise<AnswerEnd>;
  #resolveEnd!: (end: AnswerEnd) => void;
  #work: Abortable | undefined;
  #sentBytes = 0;
  #failure: Error | undefined;
  #isOver = false;
  #isLast = false;
  #onOver: (() => void) | undefined;

  constructor(
    incoming: IncomingMessage,
    response: ServerResponse,
    requestBody: HttpBody,
    { upgradable, readIdleMs = READ_IDLE_MS }: HttpAnswerOptions = {},
  ) {
    this.#upgradable = upgradable;
    this.#readIdleMs = readIdleMs;
    this.#incoming = incoming;
    this.#response = response;
    this.#requestBody = requestBody;
    this.#ended = new Promise((resolve) => {
      this.#resolveEnd = resolve;
    });
    response.on("close", () => this.#close());
  }

  get isGone(): boolean {
    return this.#response.destroyed || this.#isOver;
  }

  /** Whether the request was read to its end: what the parser trips over now belongs to another one. */
  get isRequestComplete(): boolean {
    return this.#incoming.complete;
  }

  /** Whether the connection ends with this answer. */
  get isLast(): boolean {
    return this.#isLast;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  onGone(work: Abortable): void {
    this.#work = work;
    if (this.isGone) work.abort();
  }

  /** The connection ends with this answer. */
  closeAfterwards(): void {
    this.#isLast = true;
    this.#response.shouldKeepAlive = false;
  }

  /** Called once when the answer is complete: the connection is the listener's then. */
  onOver(listener: () => void): void {
    this.#onOver = listener;
  }

  send(head: AnswerHead, body: string): Promise<AnswerEnd> {
    this.#sentBytes = Buffer.byteLength(body);
    const response = this.#response;
    const unread = this.#unreadBody();
    // Only refusals that end the connection write this line.
    if (head.headerLines.includes("Connection")) this.#isLast = true;
    if (unread === "none") {
      response.writeHead(head.status, head.headerLines as string[]).end(body);
      return this.#ended;
    }
    if (unread !== "small") this.closeAfterwards();
    response.writeHead(head.status, head.headerLines as string[]);
    if (unread === "awaited") response.end(body);
    else {
      // The whole answer leaves now, its end only when the client has stopped sending: closing a socket with unread bytes
      // makes the kernel reset it, and the client would lose the answer.
      response.flushHeaders();
      if (body !== "") response.write(body);
      this.#drainRequest(() => response.end());
    }
    return this.#ended;
  }

  stream(head: AnswerHead, body: AnswerBody): Promise<AnswerEnd> {
    const response = this.#response;
    try {
      response.writeHead(head.status, head.headerLines as string[]);
    } catch (cause) {
      // Node refuses header values that the upstream's parser let pass; nothing has been sent yet.
      throw new ConduitError("upstream_invalid", { cause });
    }
    body.flowTo(this);
    if (!this.#isOver && !response.writableEnded) {
      // Nothing to send yet (SSE): the head must not wait for it.
      response.flushHeaders();
      response.on("drain", () => body.resume());
    }
    return this.#ended;
  }

  switchProtocols(head: AnswerHead): Duplex {
    if (this.#upgradable === undefined) throw new TypeError("the request cannot switch protocols");
    const { socket, head: early } = this.#upgradable;
    this.#isOver = true;
    this.#response.detachSocket(socket as Socket);
    if (early.length > 0) socket.unshift(early);
    socket.write(rawAnswer(head, ""), "latin1");
    return socket;
  }

  write(chunk: Uint8Array): boolean {
    this.#sentBytes += chunk.length;
    return this.#response.write(chunk);
  }

  end(lastChunk?: Uint8Array): void {
    if (lastChunk === undefined) this.#response.end();
    else {
      this.#sentBytes += lastChunk.length;
      this.#response.end(lastChunk);
    }
    if (!this.#incoming.complete) this.#drainRequest(() => undefined);
    // The upstream is done, so nothing else would ever end a connection whose client has stopped reading.
    if (this.#response.writableLength > 0) {
      this.#readTimer = setTimeout(() => this.#response.destroy(), this.#readIdleMs);
    }
  }

  fail(cause: Error): void {
    this.#failure = cause;
    this.#response.destroy();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#readTimer);
    const failure = this.#failure;
    const isClientGone = failure === undefined && !this.#response.writableFinished;
    this.#resolveEnd({ sentBytes: this.#sentBytes, isClientGone, ...(failure !== undefined && { failure }) });
    if (isClientGone) this.#work?.abort();
    this.#onOver?.();
  }

  /** `awaited`: the client holds it back until it gets 100 Continue. */
  #unreadBody(): "none" | "awaited" | "small" | "large" {
    const { complete, headers } = this.#incoming;
    if (complete) return "none";
    const isFramed = headers["transfer-encoding"] !== undefined;
    const length = Number(headers["content-length"] ?? 0);
    if (!isFramed && length === 0) return "none";
    if (this.#requestBody.isAwaited) return "awaited";
    return isFramed || length > DRAIN_MAX_BYTES ? "large" : "small";
  }

  /** Reads and forgets the rest of the request within bounds; beyond, the connection is closed, never parsed on. */
  #drainRequest(done: () => void): void {
    const incoming = this.#incoming;
    const { socket } = incoming;
    let drained = 0;
    const stop = (mustClose: boolean) => {
      clearTimeout(timer);
      incoming.off("data", onData).off("end", onEnd).off("close", onEnd);
      done();
      if (mustClose) socket.destroySoon();
    };
    const onEnd = () => stop(false);
    const onData = (chunk: Buffer) => {
      drained += chunk.length;
      if (drained > DRAIN_MAX_BYTES) stop(true);
    };
    const timer = setTimeout(() => stop(true), DRAIN_MAX_MS);
    incoming.on("data", onData).on("end", onEnd).on("close", onEnd);
    incoming.resume();
  }
}
