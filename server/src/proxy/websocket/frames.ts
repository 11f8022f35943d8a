/** Length of a frame's head (RFC 6455 5.2) without what its second byte announces: longer lengths, the mask. */
const SHORT_HEAD_BYTES = 2;
const MASK_BYTES = 4;
const MASK_BIT = 0x80;
const FIN_BIT = 0x80;
const CONTROL_BIT = 0x08;
const OPCODE = 0x0f;
const CLOSE_OPCODE = 0x8;

/** Close codes of ours (design.md 8) and of RFC 6455 7.4.1. */
export type CloseCode = 1001 | 1002 | 1009 | 4401 | 4403;

/**
 * Follows the frames of one direction: where they end, and how long a message is. Looks at heads only; payloads pass
 * unread, whatever extension wrote them.
 */
export class FrameTracker {
  readonly #messageMaxBytes: number;
  readonly #head = Buffer.alloc(SHORT_HEAD_BYTES + 8 + MASK_BYTES);
  #headLength = 0;
  #payloadLeft = 0;
  /** Bytes of the message so far, over all its fragments. */
  #messageBytes = 0;
  #fault: CloseCode | undefined;

  constructor(messageMaxBytes: number) {
    this.#messageMaxBytes = messageMaxBytes;
  }

  /** Whether nothing of a frame has come since the last one ended: another may begin here. */
  get isBetweenFrames(): boolean {
    return this.#headLength === 0 && this.#payloadLeft === 0;
  }

  /** Why this direction cannot go on: 1009 message too big, 1002 a length that is none. */
  get fault(): CloseCode | undefined {
    return this.#fault;
  }

  /** Follows a chunk; returns how many of its bytes belong before the first end of a frame (all if none ends in it). */
  follow(chunk: Uint8Array, stopsAtEnd: boolean): number {
    let at = 0;
    while (at < chunk.length && this.#fault === undefined) {
      if (this.#payloadLeft > 0) {
        const step = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= step;
        at += step;
      } else {
        this.#head[this.#headLength] = chunk[at] as number;
        this.#headLength += 1;
        at += 1;
        this.#readHead();
      }
      if (stopsAtEnd && this.isBetweenFrames) return at;
    }
    return at;
  }

  #readHead(): void {
    if (this.#headLength < SHORT_HEAD_BYTES) return;
    const [first = 0, second = 0] = this.#head;
    const short = second & ~MASK_BIT;
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
    const isMasked = (second & MASK_BIT) !== 0;
    if (this.#headLength < SHORT_HEAD_BYTES + lengthBytes + (isMasked ? MASK_BYTES : 0)) return;
    this.#headLength = 0;
    this.#payloadLeft = lengthBytes === 0 ? short : Number(this.#longLength(lengthBytes));
    if (!Number.isSafeInteger(this.#payloadLeft)) this.#fault = 1002;
    else this.#count(first);
  }

  #longLength(bytes: 2 | 8): number | bigint {
    return bytes === 2 ? this.#head.readUInt16BE(SHORT_HEAD_BYTES) : this.#head.readBigUInt64BE(SHORT_HEAD_BYTES);
  }

  /** Control frames may stand between the fragments of a message and are no part of it. */
  #count(first: number): void {
    if ((first & OPCODE & CONTROL_BIT) !== 0) return;
    this.#messageBytes += this.#payloadLeft;
    if (this.#messageBytes > this.#messageMaxBytes) this.#fault = 1009;
    if ((first & FIN_BIT) !== 0) this.#messageBytes = 0;
  }
}

/** A close frame. `masked`: as a client's must be; the mask is zero, since the payload is ours and no secret. */
export function closeFrame(code: CloseCode, reason: string, masked: boolean): Buffer {
  const payload = Buffer.from(`\0\0${reason}`);
  payload.writeUInt16BE(code);
  const head = [FIN_BIT | CLOSE_OPCODE, (masked ? MASK_BIT : 0) | payload.length];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(masked ? MASK_BYTES : 0), payload]);
}
