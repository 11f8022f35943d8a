import type { Socket } from "node:net";

/** A whole `100 Continue`; RFC 9110 15.2.1. */
const CONTINUE = /^HTTP\/1\.1 100(?: [^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n/;
const BEGINNING = "HTTP/1.1 100";
/** Longer ones are left to the parser, which refuses them. */
const HELD_MAX_BYTES = 8 * 1024;

/**
 * Skips `100 Continue` before an answer. Nobody asks for it (`Expect` is never sent), some servers send it all the same, a
 * client must be able to ignore it (RFC 9110 15.2), and undici ends the connection instead. Only before an answer: later,
 * the same bytes are a body, or an answer that nobody asked for.
 */
export class UnaskedContinue {
  #isBeforeAnswer = false;
  #held: Buffer | undefined;

  /** A request is being sent: what comes next begins an answer. */
  expectAnswer(): void {
    this.#isBeforeAnswer = true;
  }

  /** Takes over the reading from a new connection; undici reads by `read()`. */
  attach(socket: Socket): void {
    this.#isBeforeAnswer = false;
    this.#held = undefined;
    const read = socket.read.bind(socket);
    socket.read = (size?: number) => {
      const chunk = read(size) as Buffer | null;
      return chunk === null || !this.#isBeforeAnswer ? chunk : this.#skip(chunk);
    };
  }

  /** What is left of the beginning of an answer; null = nothing that could be told yet. */
  #skip(chunk: Buffer): Buffer | null {
    let rest = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = undefined;
    for (;;) {
      const text = rest.toString("latin1", 0, HELD_MAX_BYTES);
      const skipped = CONTINUE.exec(text)?.[0].length ?? 0;
      if (skipped === 0) return this.#pass(rest, text);
      rest = rest.subarray(skipped);
      if (rest.length === 0) return null;
    }
  }

  #pass(rest: Buffer, text: string): Buffer | null {
    const mayBecomeOne = text.startsWith(BEGINNING) || BEGINNING.startsWith(text);
    // A bare line feed is no line end here: whatever it is, it is not what is skipped.
    if (mayBecomeOne && rest.length < HELD_MAX_BYTES && !/[^\r]\n|\r[^\n]/.test(text)) {
      this.#held = rest;
      return null;
    }
    this.#isBeforeAnswer = false;
    return rest;
  }
}
