import type { WithUser } from "../judge/judged-request.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { AnswerBody, BodyReceiver } from "./exchange.ts";
import { type LiveAnswer, type LiveChecks, liveVerdict } from "./live-checks.ts";
import type { ServedConfig } from "./served-link.ts";
import type { WithLink, WithUpstreamAnswer } from "./stage-values.ts";
import type { UpstreamAnswer } from "./upstream/upstream-exchange.ts";

/** How long an event that has begun may take to end; half an event is nothing to a reader (HTML standard, 9.2.6). */
const EVENT_END_MAX_MS = 2_000;

const LF = 10;
const CR = 13;

/**
 * The event streams being answered (`text/event-stream`). They would never end by themselves: they are told to, and end
 * after a whole event with a comment that says why: the process stops, or the token or link that opened them no longer counts.
 * Other answers finish once begun.
 */
export class LiveAnswers {
  readonly #open = new Set<LiveBody>();
  /** Why streams that begin now end at once. */
  #reason: string | undefined;
  readonly #checks: LiveChecks;

  constructor(checks: LiveChecks) {
    this.#checks = checks;
  }

  /** The answer's body: kept an eye on if it is an event stream, else as it is. */
  watch(answered: WithLink & WithUser & WithUpstreamAnswer, body: AnswerBody, config: ServedConfig): AnswerBody {
    const isLive = isEndableStream(answered.upstreamAnswer.headers);
    return isLive ? new LiveBody(body, this, liveVerdict(answered, config)) : body;
  }

  /** Ends every stream, now and from now on, with the comment `: conduit <reason>`. */
  finishAll(reason: string): void {
    this.#reason = reason;
    for (const live of this.#open) live.finish(reason);
  }

  /** A stream begins to flow. */
  enter(live: LiveBody): void {
    this.#open.add(live);
    this.#checks.enter(live);
    if (this.#reason !== undefined) live.finish(this.#reason);
  }

  /** A stream is over. */
  leave(live: LiveBody): void {
    this.#open.delete(live);
    this.#checks.leave(live);
  }
}

/** Compressed events have no visible end, and a body of announced length must not end early. */
function isEndableStream(headers: UpstreamAnswer["headers"]): boolean {
  const { "content-type": type, "content-encoding": coding, "content-length": length } = headers;
  if (typeof type !== "string" || coding !== undefined || length !== undefined) return false;
  return /^\s*text\/event-stream\s*(?:;|$)/i.test(type);
}

/** An event stream on its way to a client. Knows where events end: at an empty line. */
class LiveBody implements AnswerBody, BodyReceiver, LiveAnswer {
  readonly stillAllowed: LiveAnswer["stillAllowed"];
  readonly #source: AnswerBody;
  readonly #all: LiveAnswers;
  #receiver: BodyReceiver | undefined;
  #reason: string | undefined;
  #isOver = false;
  /** Nothing of a line has come since its beginning. */
  #isAtLineStart = true;
  /** Nothing of an event has come since the last one ended. */
  #isBetweenEvents = true;
  /** A line feed now belongs to the carriage return before it. */
  #isAfterReturn = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: AnswerBody, all: LiveAnswers, stillAllowed: LiveAnswer["stillAllowed"]) {
    this.stillAllowed = stillAllowed;
    this.#source = source;
    this.#all = all;
  }

  /** Ends the stream after the event under way. */
  finish(reason: string): void {
    if (this.#isOver || this.#reason !== undefined) return;
    this.#reason = reason;
    if (this.#isBetweenEvents) this.#finishNow();
    else this.#timer = setTimeout(() => this.#finishNow(), EVENT_END_MAX_MS);
  }

  finishFor({ code }: Refusal): void {
    this.finish(code);
  }

  flowTo(receiver: BodyReceiver): void {
    this.#receiver = receiver;
    this.#all.enter(this);
    if (!this.#isOver) this.#source.flowTo(this);
  }

  resume(): void {
    this.#source.resume();
  }

  abort(): void {
    this.#over();
    this.#source.abort();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    const end = this.#readEvents(chunk);
    if (end < 0) return this.#receiver?.write(chunk) ?? true;
    this.#receiver?.write(chunk.subarray(0, end));
    this.#finishNow();
    return true;
  }

  end(lastChunk?: Uint8Array): void {
    if (this.#isOver) return;
    this.#over();
    this.#receiver?.end(lastChunk);
  }

  fail(cause: Error): void {
    if (this.#isOver) return;
    this.#over();
    this.#receiver?.fail(cause);
  }

  /** Follows the lines; returns where the stream may end if it has been told to, else -1. */
  #readEvents(chunk: Uint8Array): number {
    for (const [at, byte] of chunk.entries()) {
      const isSecondHalf = this.#isAfterReturn && byte === LF;
      this.#isAfterReturn = byte === CR;
      if (isSecondHalf) continue;
      // The line feed of a pair comes before the end: `\r` alone would leave it to begin the comment's line.
      if (byte === LF || byte === CR) {
        this.#isBetweenEvents = this.#isAtLineStart;
        this.#isAtLineStart = true;
      } else {
        this.#isAtLineStart = false;
        this.#isBetweenEvents = false;
      }
      if (this.#isBetweenEvents && this.#reason !== undefined)
        return at + (byte === CR && chunk[at + 1] === LF ? 2 : 1);
    }
    return -1;
  }

  #finishNow(): void {
    if (this.#isOver) return;
    this.#over();
    const comment = this.#isBetweenEvents ? `: conduit ${this.#reason}\n\n` : "";
    this.#receiver?.end(Buffer.from(comment));
    this.#source.abort();
  }

  #over(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#all.leave(this);
  }
}
