import type { EncodedResource } from "../../model/config-digest.ts";
import { REVOCATION_KEY_BYTES } from "../../model/revocation.ts";
import { isHoldable } from "../../policy/revocation.ts";
import type { HeldRevocation } from "../../policy/revocation-table.ts";
import { encodeConfigResource } from "../../wire/config.ts";

/** A revocation in the index, as it came: `heldRevocationOf` has seen to it that these are the same bytes. */
export function encodedRevocation({ name, version, entry }: HeldRevocation): EncodedResource {
  return {
    kind: "revocation",
    name,
    version,
    payload: encodeConfigResource({ kind: "revocation", name, revocation: entry }),
  };
}

/**
 * A revocation as the index holds it; undefined = it is none, or one that would not come out again as it came (unreadable,
 * or with something only a newer version knows): that is held as bytes, and rejected where it is put in force.
 */
export function heldRevocationOf({ kind, name, version, payload }: EncodedResource): HeldRevocation | undefined {
  if (kind !== "revocation") return undefined;
  const bytes = new PlainBytes(payload);
  const written = bytes.field(NAME_TAG);
  const targetKey = bytes.field(TARGET_KEY_TAG);
  const issuedBeforeS = bytes.seconds(ISSUED_BEFORE_TAG);
  const expireTimeS = bytes.seconds(EXPIRE_TIME_TAG);
  const isWhole = written?.length === REVOCATION_KEY_BYTES && targetKey?.length === REVOCATION_KEY_BYTES;
  if (!isWhole || expireTimeS === undefined || !bytes.isAtEnd) return undefined;
  const revocation = { name, version, entry: { targetKey, issuedBeforeS, expireTimeS } };
  const isOwn = Buffer.from(written.buffer, written.byteOffset, written.length).toString("hex") === name;
  return isOwn && isHoldable(revocation) ? revocation : undefined;
}

/** Field numbers of `RevocationConfig`, all length-delimited (`number << 3 | 2`). */
const NAME_TAG = 0x0a;
const TARGET_KEY_TAG = 0x12;
const ISSUED_BEFORE_TAG = 0x1a;
const EXPIRE_TIME_TAG = 0x22;
/** `Timestamp.seconds`, a varint. */
const SECONDS_TAG = 0x08;

/**
 * Reads the one spelling our own encoder writes: fields in order, numbers as short as they can be. A million of them come at
 * a cold start; decoding each with the general decoder and encoding it again to compare took three times as long.
 */
class PlainBytes {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The next field if it has this tag, its content shorter than 128 bytes. */
  field(tag: number): Uint8Array | undefined {
    const [found, length = 0x80] = [this.#bytes[this.#at], this.#bytes[this.#at + 1]];
    const end = this.#at + 2 + length;
    if (found !== tag || length >= 0x80 || end > this.#bytes.length) return undefined;
    const content = this.#bytes.subarray(this.#at + 2, end);
    this.#at = end;
    return content;
  }

  /** A `Timestamp` of whole seconds; 0 is written as nothing. A number that is not the shortest gives undefined. */
  seconds(tag: number): number | undefined {
    const start = this.#at;
    const content = this.field(tag);
    if (content === undefined || content.length === 0) return content === undefined ? undefined : 0;
    const value = content[0] === SECONDS_TAG ? shortestVarint(content.subarray(1)) : undefined;
    if (value === undefined) this.#at = start;
    return value;
  }
}

/** A positive number of at most 35 bits that fills the bytes exactly. */
function shortestVarint(bytes: Uint8Array): number | undefined {
  if (bytes.length === 0 || bytes.length > 5 || bytes.at(-1) === 0) return undefined;
  let value = 0;
  for (const [index, byte] of bytes.entries()) {
    if (byte >= 0x80 !== index < bytes.length - 1) return undefined;
    value += (byte & 0x7f) * 128 ** index;
  }
  return value;
}
