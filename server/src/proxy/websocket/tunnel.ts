import type { Duplex } from "node:stream";
import type { Abortable, AnswerEnd } from "../exchange.ts";
import { type CloseCode, closeFrame, FrameTracker } from "./frames.ts";

/** How long a frame that has begun may take to end, and a closing handshake after it. */
const CLOSE_MAX_MS = 2_000;

export interface TunnelLimits {
  /** Of a message from the client. */
  readonly messageMaxBytes: number;
  /** Longest pause without a byte either way. */
  readonly idleTimeoutMs: number;
}

/** One of the two ways: from a socket to the other. */
interface Way {
  readonly from: Duplex;
  readonly to: Duplex;
  readonly frames: FrameTracker;
  readonly isFromClient: boolean;
}

/**
 * A WebSocket between a client and an upstream. Bytes pass as they are, each side only as fast as the other reads. When we
 * end it, each side gets a close frame at the end of the frame under way: in the middle of one it would be payload.
 */
export class Tunnel implements Abortable {
  /** Resolves when both sockets are closed. */
  readonly ended: Promise<AnswerEnd>;
  #resolveEnd!: (end: AnswerEnd) => void;
  readonly #client: Duplex;
  readonly #upstream: Duplex;
  readonly #ways: readonly [Way, Way];
  readonly #idleTimer: NodeJS.Timeout;
  #closeTimer: NodeJS.Timeout | undefined;
  #closing: { readonly code: CloseCode; readonly reason: string } | undefined;
  /** Directions whose destination has had our close frame. */
  readonly #closed = new Set<Way>();
  #sentBytes = 0;

  constructor(client: Duplex, upstream: Duplex, { messageMaxBytes, idleTimeoutMs }: TunnelLimits) {
    this.#client = client;
    this.#upstream = upstream;
    this.ended = new Promise((resolve) => {
      this.#resolveEnd = resolve;
    });
    // Upstreams may send as much as they like, as with other answers: it is not kept.
    const toClient = new FrameTracker(Number.POSITIVE_INFINITY);
    this.#ways = [
      { from: client, to: upstream, frames: new FrameTracker(messageMaxBytes), isFromClient: true },
      { from: upstream, to: client, frames: toClient, isFromClient: false },
    ];
    this.#idleTimer = setTimeout(() => this.close(1001, "idle"), idleTimeoutMs);
    for (const way of this.#ways) this.#connect(way);
  }

  /** Ends the connection with a close frame to both sides; the first reason counts. */
  close(code: CloseCode, reason: string): void {
    if (this.#closing !== undefined) return;
    this.#closing = { code, reason };
    for (const way of this.#ways) if (way.frames.isBetweenFrames) this.#sendClose(way);
    this.#closeTimer = setTimeout(() => this.abort(), CLOSE_MAX_MS);
  }

  /** Ends it at once. */
  abort(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }

  #connect(way: Way): void {
    const { from, to } = way;
    from.on("data", (chunk: Buffer) => this.#pass(way, chunk));
    from.on("end", () => to.end());
    // Reset or gone: said by `close`.
    from.on("error", () => undefined);
    from.on("close", () => this.#onClose(to));
    to.on("drain", () => from.resume());
  }

  #pass(way: Way, chunk: Buffer): void {
    this.#idleTimer.refresh();
    // After our close frame nothing may follow.
    if (this.#closed.has(way)) return;
    const { from, to, frames, isFromClient } = way;
    const length = frames.follow(chunk, this.#closing !== undefined);
    if (frames.fault !== undefined) {
      this.#fail(way, frames.fault);
      return;
    }
    if (!isFromClient) this.#sentBytes += length;
    if (!to.write(length === chunk.length ? chunk : chunk.subarray(0, length))) from.pause();
    if (this.#closing !== undefined && frames.isBetweenFrames) this.#sendClose(way);
  }

  /** What was passed on may have ended within a frame: that side can only be cut off. */
  #fail(way: Way, code: CloseCode): void {
    this.#closed.add(way);
    way.to.end();
    this.close(code, code === 1009 ? "message too big" : "protocol error");
  }

  #sendClose(way: Way): void {
    if (this.#closing === undefined || this.#closed.has(way)) return;
    this.#closed.add(way);
    way.to.end(closeFrame(this.#closing.code, this.#closing.reason, way.isFromClient));
    // What still comes is read and forgotten, so that the sender sees our frame and not a reset.
    way.from.resume();
  }

  #onClose(other: Duplex): void {
    clearTimeout(this.#idleTimer);
    if (!other.destroyed) {
      other.end();
      this.#closeTimer ??= setTimeout(() => this.abort(), CLOSE_MAX_MS);
      return;
    }
    clearTimeout(this.#closeTimer);
    this.#resolveEnd({ sentBytes: this.#sentBytes, isClientGone: false });
  }
}
