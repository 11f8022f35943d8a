const BLANK = 0x2a;

/**
 * Blanks texts in a stream of bytes, with as many `*`, so that lengths and ranges hold. Keeps back only what may be the
 * beginning of one of the texts: at most the longest less one byte, and nothing of most chunks.
 */
export class EchoScanner {
  readonly #texts: readonly Buffer[];
  readonly #lengthMax: number;
  #kept: Buffer = NOTHING;
  #found = 0;

  /** @param texts none of them empty; the longest first, so that a text that holds another is blanked whole */
  constructor(texts: readonly Buffer[]) {
    this.#texts = texts;
    this.#lengthMax = Math.max(0, ...texts.map(({ length }) => length));
  }

  /** How many texts were blanked so far. */
  get found(): number {
    return this.#found;
  }

  /** What of the stream may be sent on after this chunk. The chunk itself is left as it is. */
  push(chunk: Uint8Array): Uint8Array {
    const bytes =
      this.#kept.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : this.#joined(chunk);
    const clean = this.#blank(bytes);
    const end = clean.length - this.#beginningAtEnd(clean);
    this.#kept = end === clean.length ? NOTHING : Buffer.from(clean.subarray(end));
    return clean.subarray(0, end);
  }

  /** What was kept back, at the end of the stream: no text, since its end never came. */
  end(): Uint8Array {
    const kept = this.#kept;
    this.#kept = NOTHING;
    return kept;
  }

  #joined(chunk: Uint8Array): Buffer {
    return Buffer.concat([this.#kept, chunk]);
  }

  #blank(bytes: Buffer): Buffer {
    let clean = bytes;
    for (const text of this.#texts) {
      for (let at = clean.indexOf(text); at >= 0; at = clean.indexOf(text, at + text.length)) {
        // Another reader may hold the chunk's memory: a copy is blanked.
        if (clean === bytes) clean = Buffer.from(bytes);
        clean.fill(BLANK, at, at + text.length);
        this.#found += 1;
      }
    }
    return clean;
  }

  /** Length of the longest beginning of a text that the bytes end with. */
  #beginningAtEnd(bytes: Buffer): number {
    const from = Math.max(0, bytes.length - this.#lengthMax + 1);
    for (let at = from; at < bytes.length; at += 1) {
      const length = bytes.length - at;
      for (const text of this.#texts) {
        if (length < text.length && text[0] === bytes[at] && bytes.compare(text, 0, length, at) === 0) return length;
      }
    }
    return 0;
  }
}

const NOTHING = Buffer.alloc(0);
