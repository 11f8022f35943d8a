import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { Random } from "../../random.ts";
import { sealingKeyIdOf } from "../../sealing/envelope.ts";
import type { SealingKey } from "../../sealing/sealing-key.ts";
import { openSnapshot, sealSnapshot } from "../../sealing/snapshot-key.ts";

/**
 * A file of sealed parts: "CLCFG", the format's number, 16 random bytes, then each part after its length in 4 bytes. It is
 * begun beside the old one and takes its place in one step; after that it only grows.
 */
const MAGIC = Buffer.from("CLCFG");
const FORMAT = 2;
const ID_BYTES = 16;
const HEADER_BYTES = MAGIC.length + 1 + ID_BYTES;
const LENGTH_BYTES = 4;
const PART_MAX_BYTES = 64 * 1024 * 1024;
const PRIVATE_FILE = 0o600;

/** How far a file can be read: where the next part goes. */
export interface FileEnd {
  readonly id: string;
  readonly parts: number;
  readonly bytes: number;
}

/**
 * The parts of a file. What a crash left of the last one is left out: its changes come again by the stream.
 * @throws Error when it is no such file, or of another format; SealingError when a part was changed
 */
export function* readParts(file: Uint8Array, key: SealingKey): Generator<Uint8Array, FileEnd> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || bytes[MAGIC.length] !== FORMAT)
    throw new Error("not a configuration of this version's format");
  const id = bytes.subarray(MAGIC.length + 1, HEADER_BYTES).toString("hex");
  let at = HEADER_BYTES;
  let parts = 0;
  while (at + LENGTH_BYTES <= bytes.length) {
    const length = bytes.readUInt32BE(at);
    if (length > PART_MAX_BYTES) throw new Error("a part's length was changed");
    if (at + LENGTH_BYTES + length > bytes.length) break;
    yield openSnapshot(key, bytes.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length), { file: id, part: parts });
    parts += 1;
    at += LENGTH_BYTES + length;
  }
  return { id, parts, bytes: at };
}

/** Id of the key that a file's parts are sealed under; undefined when it holds none. */
export function keyIdOf(file: Uint8Array): string | undefined {
  try {
    return sealingKeyIdOf(file.subarray(HEADER_BYTES + LENGTH_BYTES));
  } catch {
    return undefined;
  }
}

/** Writes parts at the end of a file. */
export class PartWriter {
  readonly #file: FileHandle;
  readonly #key: SealingKey;
  readonly #random: Random;
  readonly #id: string;
  #parts: number;
  #bytes: number;

  private constructor(file: FileHandle, key: SealingKey, random: Random, end: FileEnd) {
    this.#file = file;
    this.#key = key;
    this.#random = random;
    this.#id = end.id;
    this.#parts = end.parts;
    this.#bytes = end.bytes;
  }

  /** Begins `<path>.new`; `publish` makes it `path`. */
  static async begin(path: string, key: SealingKey, random: Random): Promise<PartWriter> {
    const temporary = temporaryOf(path);
    // A left-over of a crash could have another mode.
    await unlink(temporary).catch(() => undefined);
    const file = await open(temporary, "wx", PRIVATE_FILE);
    const id = Buffer.from(random.bytes(ID_BYTES));
    const header = Buffer.concat([MAGIC, Buffer.from([FORMAT]), id]);
    const writer = new PartWriter(file, key, random, { id: id.toString("hex"), parts: 0, bytes: header.length });
    await writer.#write(header, 0);
    return writer;
  }

  /** Goes on where a file that was read ends. */
  static async resume(path: string, key: SealingKey, random: Random, end: FileEnd): Promise<PartWriter> {
    const file = await open(path, "r+");
    await file.truncate(end.bytes);
    return new PartWriter(file, key, random, end);
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  async write(parts: readonly Uint8Array[]): Promise<void> {
    const sealed = parts.flatMap((part, at) => {
      const bytes = sealSnapshot(this.#key, part, { file: this.#id, part: this.#parts + at }, this.#random);
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    });
    const bytes = Buffer.concat(sealed);
    await this.#write(bytes, this.#bytes);
    this.#parts += parts.length;
    this.#bytes += bytes.length;
  }

  /** The disk has what was written. */
  async sync(): Promise<void> {
    await this.#file.datasync();
  }

  /** In one step: a crash leaves the old file or this one. */
  async publish(path: string): Promise<void> {
    await this.#file.sync();
    await rename(temporaryOf(path), path);
    const directory = await open(dirname(path), "r");
    await directory.sync().finally(() => directory.close());
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #write(bytes: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
  }
}

const temporaryOf = (path: string): string => `${path}.new`;
