import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { ConduitError } from "../model/errors.ts";
import type { RequestBody } from "./exchange.ts";

/** Longest pause between bytes of a request body; contract.md 8. */
const BODY_IDLE_MS = 30_000;

/** The body of a `node:http` request. */
export class HttpBody implements RequestBody {
  readonly #incoming: IncomingMessage;
  readonly #sendContinue: (() => void) | undefined;
  readonly #idleMs: number;
  #stream: BodyStream | undefined;
  #failure: ConduitError | undefined;

  /** @param sendContinue given when the client waits for `100 Continue` */
  constructor(incoming: IncomingMessage, sendContinue: (() => void) | undefined, idleMs = BODY_IDLE_MS) {
    this.#incoming = incoming;
    this.#sendContinue = sendContinue;
    this.#idleMs = idleMs;
  }

  open(maxBytes: number): Readable {
    if (this.#failure !== undefined) throw this.#failure;
    this.#stream = new BodyStream(this.#incoming, { maxBytes, idleMs: this.#idleMs, sendContinue: this.#sendContinue });
    return this.#stream;
  }

  get receivedBytes(): number {
    return this.#stream?.receivedBytes ?? 0;
  }

  /** Whether the client still waits for its `100 Continue`: it has sent no body yet, and may never. */
  get isAwaited(): boolean {
    return this.#sendContinue !== undefined && this.#stream?.isStarted !== true;
  }

  /** The parser cannot go on with this body. */
  fail(cause: ConduitError): void {
    this.#failure = cause;
    this.#stream?.destroy(cause);
  }
}

interface BodyStreamOptions {
  readonly maxBytes: number;
  readonly idleMs: number;
  readonly sendContinue: (() => void) | undefined;
}

/**
 * Reads from the request without owning it: when an upstream breaks off, undici destroys this stream, and the client's
 * connection, on which the refusal must still be sent, lives on.
 */
class BodyStream extends Readable {
  receivedBytes = 0;
  isStarted = false;
  readonly #incoming: IncomingMessage;
  readonly #options: BodyStreamOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(incoming: IncomingMessage, options: BodyStreamOptions) {
    super();
    this.#incoming = incoming;
    this.#options = options;
    // It may fail while nobody has taken it up yet (waiting for a connection); who takes it up finds it failed.
    this.on("error", () => undefined);
  }

  override _read(): void {
    if (!this.isStarted) this.#start();
    this.#timer ??= setTimeout(this.#onIdle, this.#options.idleMs);
    this.#incoming.resume();
  }

  override _destroy(cause: Error | null, callback: (cause?: Error | null) => void): void {
    this.#stopTimer();
    const incoming = this.#incoming;
    if (this.isStarted) {
      incoming.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose);
      if (!incoming.complete) incoming.pause();
    }
    callback(cause);
  }

  #start(): void {
    this.isStarted = true;
    // Only here: until the upstream takes the body, the client need not send it.
    this.#options.sendContinue?.();
    this.#incoming.on("data", this.#onData).on("end", this.#onEnd).on("close", this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.receivedBytes += chunk.length;
    if (this.receivedBytes > this.#options.maxBytes) return void this.destroy(new ConduitError("body_too_large"));
    if (this.push(chunk)) this.#timer?.refresh();
    else {
      // The upstream is slower than the client: its time is not the client's.
      this.#stopTimer();
      this.#incoming.pause();
    }
  };

  readonly #onEnd = (): void => {
    this.#stopTimer();
    this.push(null);
  };

  readonly #onClose = (): void => {
    if (!this.#incoming.complete) {
      this.destroy(new ConduitError("bad_request", { detail: "The request body ended early" }));
    }
  };

  readonly #onIdle = (): void => {
    this.destroy(new ConduitError("request_timeout", { detail: "The request body did not arrive in time" }));
  };

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
