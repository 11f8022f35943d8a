import type { Duplex, Readable } from "node:stream";
import { ConduitError } from "../../model/errors.ts";
import type { UpstreamController, UpstreamHandler } from "../../outbound/upstream-client.ts";
import type { AnswerBody, BodyReceiver } from "../exchange.ts";
import { isBrokenConnection, upstreamFailure } from "./failure.ts";
import type { PoolSlot, UpstreamPool } from "./pool.ts";

/** A request as it goes out. */
export interface UpstreamRequest {
  readonly method: string;
  /** Sent byte for byte. */
  readonly path: string;
  /** Name, value, name, value … (latin1). */
  readonly headerLines: readonly string[];
  readonly body: Readable | undefined;
  /** Asks for a WebSocket. */
  readonly isUpgrade: boolean;
}

export interface UpstreamTimeouts {
  /** From the request sent to the answer's head. */
  readonly firstByteTimeoutMs: number;
  /** Without any byte moving. */
  readonly idleTimeoutMs: number;
  /** Whole exchange; undefined = no limit. */
  readonly totalTimeoutMs?: number;
}

/** Head of an upstream's answer; names in lower case, repeated lines in lists. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AnswerBody;
  /** After a 101: the connection, the caller's to close. */
  readonly upgraded?: Duplex;
}

/** Methods that may be sent again when the connection closed under them (RFC 9110 9.2.2; contract.md 8). */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS"]);

const STATUS_MAX = 599;

const onTimeout = (exchange: UpstreamExchange): void => exchange.fail(new ConduitError("upstream_timeout"));

/** One request to an upstream and its answer; also the answer's body. Used once. */
export class UpstreamExchange implements UpstreamHandler, AnswerBody {
  /** The answer's head; rejects with `ConduitError` (`upstream_…`, or what the request's own body failed with). */
  readonly answer: Promise<UpstreamAnswer>;
  #resolve!: (answer: UpstreamAnswer) => void;
  #reject!: (cause: ConduitError) => void;
  readonly #pool: UpstreamPool;
  readonly #request: UpstreamRequest;
  readonly #timeouts: UpstreamTimeouts;

  #slot: PoolSlot | undefined;
  #controller: UpstreamController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #totalTimer: NodeJS.Timeout | undefined;
  #isRetry = false;
  #isReusedSocket = false;
  /** Bytes of the request have left. */
  #hasLeft = false;
  /** A byte of the answer has come. */
  #hasAnswerByte = false;
  #hasHead = false;
  #isComplete = false;
  #failure: ConduitError | undefined;
  #receiver: BodyReceiver | undefined;
  /** What came before there was a receiver. */
  #early: Uint8Array[] = [];

  constructor(pool: UpstreamPool, request: UpstreamRequest, timeouts: UpstreamTimeouts) {
    this.#pool = pool;
    this.#request = request;
    this.#timeouts = timeouts;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (timeouts.totalTimeoutMs !== undefined) {
      this.#totalTimer = setTimeout(onTimeout, timeouts.totalTimeoutMs, this);
    }
    this.#begin();
  }

  #begin(): void {
    const slot = this.#isRetry ? this.#pool.takeNew() : this.#pool.take();
    if (slot !== undefined) {
      this.#dispatch(slot);
      return;
    }
    this.#pool.wait().then(
      (freed) => this.#dispatch(freed),
      (cause: ConduitError) => this.#end(cause),
    );
  }

  #dispatch(slot: PoolSlot): void {
    if (this.#failure !== undefined) {
      this.#pool.release(slot);
      return;
    }
    this.#slot = slot;
    const { method, path, headerLines, body, isUpgrade } = this.#request;
    const upgrade = isUpgrade ? "websocket" : null;
    slot.client.dispatch({ method, path, headers: headerLines as string[], body: body ?? null, upgrade }, this);
  }

  onRequestStart(controller: UpstreamController): void {
    if (this.#failure !== undefined) {
      controller.abort(this.#failure);
      return;
    }
    this.#controller = controller;
    this.#hasLeft = true;
    const slot = this.#slot as PoolSlot;
    this.#isReusedSocket = slot.requestsOnSocket > 0;
    slot.requestsOnSocket += 1;
    slot.client.expectAnswer();
    if (this.#request.body !== undefined) this.#arm(this.#timeouts.idleTimeoutMs);
  }

  onBodySent(): void {
    this.#timer?.refresh();
  }

  onRequestSent(): void {
    if (!this.#hasHead) this.#arm(this.#timeouts.firstByteTimeoutMs);
  }

  onResponseStarted(): void {
    this.#hasAnswerByte = true;
  }

  onResponseStart(_controller: UpstreamController, status: number, headers: UpstreamAnswer["headers"]): void {
    // 1xx: the final answer is still to come.
    if (status < 200) return;
    const coding = headers["transfer-encoding"];
    // RFC 9110 15: no status is above 599; clients' libraries throw at them.
    const isUnknown = status > STATUS_MAX;
    // A coding we do not undo would reach the client without its name: bytes that mean something else.
    if (isUnknown || (coding !== undefined && String(coding).toLowerCase() !== "chunked")) {
      this.fail(new ConduitError("upstream_invalid"));
      return;
    }
    this.#hasHead = true;
    this.#disarm();
    this.#resolve({ status, headers, body: this });
  }

  onRequestUpgrade(
    _controller: UpstreamController,
    status: number,
    headers: UpstreamAnswer["headers"],
    socket: Duplex,
  ): void {
    this.#hasHead = true;
    this.#isComplete = true;
    this.#disarm();
    clearTimeout(this.#totalTimer);
    socket.on("error", () => undefined);
    // The slot is held, so that open connections count.
    socket.once("close", () => this.#release());
    if (this.#failure === undefined) this.#resolve({ status, headers, body: this, upgraded: socket });
    else socket.destroy();
  }

  onResponseData(controller: UpstreamController, chunk: Buffer): void {
    this.#timer?.refresh();
    if (this.#receiver === undefined) this.#early.push(chunk);
    else if (!this.#receiver.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#isComplete = true;
    this.#settle();
    this.#receiver?.end();
  }

  onResponseError(_controller: UpstreamController, cause: Error): void {
    const canRetry = this.#canRetry(cause);
    this.#release();
    if (canRetry) {
      this.#isRetry = true;
      this.#hasLeft = false;
      this.#controller = undefined;
      this.#disarm();
      this.#begin();
      return;
    }
    this.#end(upstreamFailure(cause, this.#hasLeft));
  }

  /** Only what the upstream cannot have seen, or what is safe to see twice (R5: at most once for the rest). */
  #canRetry(cause: Error): boolean {
    if (this.#isRetry || this.#failure !== undefined || this.#hasAnswerByte) return false;
    const { method, body } = this.#request;
    if (!this.#hasLeft) return upstreamFailure(cause, false).code === "upstream_unreachable";
    return body === undefined && REPEATABLE.has(method) && this.#isReusedSocket && isBrokenConnection(cause);
  }

  flowTo(receiver: BodyReceiver): void {
    const early = this.#early;
    this.#early = [];
    if (this.#failure !== undefined) {
      receiver.fail(this.#failure);
      return;
    }
    if (this.#isComplete && early.length <= 1) {
      receiver.end(early[0]);
      return;
    }
    this.#receiver = receiver;
    let hasRoom = true;
    for (const chunk of early) hasRoom = receiver.write(chunk);
    if (this.#isComplete) {
      receiver.end();
      return;
    }
    this.#arm(this.#timeouts.idleTimeoutMs);
    if (!hasRoom) this.#controller?.pause();
  }

  resume(): void {
    this.#timer?.refresh();
    this.#controller?.resume();
  }

  abort(): void {
    this.fail(new ConduitError("upstream_unreachable", { detail: "The request was given up" }));
  }

  /** Ends the exchange from our side: the socket is closed, so that nothing of this answer can reach another request. */
  fail(cause: ConduitError): void {
    if (this.#isComplete || this.#failure !== undefined) return;
    const controller = this.#controller;
    this.#end(cause);
    controller?.abort(cause);
  }

  #end(cause: ConduitError): void {
    if (this.#isComplete || this.#failure !== undefined) return;
    this.#failure = cause;
    this.#disarm();
    clearTimeout(this.#totalTimer);
    if (this.#hasHead) this.#receiver?.fail(cause);
    else this.#reject(cause);
  }

  #settle(): void {
    this.#disarm();
    clearTimeout(this.#totalTimer);
    this.#release();
  }

  #release(): void {
    const slot = this.#slot;
    this.#slot = undefined;
    if (slot !== undefined) this.#pool.release(slot);
  }

  #arm(timeoutMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onTimeout, timeoutMs, this);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
