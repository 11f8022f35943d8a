import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import { SecretText } from "./secret-text.ts";
import { base62, CHECKSUM_LENGTH, checksumOf, fromBase62 } from "./token-string.ts";

/** Bytes of the key that signs one session's refresh tokens. */
export const REFRESH_KEY_BYTES = 32;
/** A counter that does not fit is never reached: it grows once per refresh. */
const COUNTER_MAX = 0xffff_ffff;

const PREFIX = "cl_rt_";
const VERSION = 1;
const ID_AT = 1;
const COUNTER_AT = 17;
const MAC_AT = 21;
const MAC_BYTES = 16;
const LENGTH = MAC_AT + MAC_BYTES;
/** 37 bytes are at most 50 digits of base 62. */
const DIGITS = 50;
const FORM = new RegExp(`^${PREFIX}([0-9A-Za-z]{${DIGITS}})_[0-9A-Za-z]{${CHECKSUM_LENGTH}}$`);

/** What a refresh token says. Nothing of it is to be believed before `isSignedWith`. */
export interface RefreshToken {
  /** UUID of the session. */
  readonly session: string;
  /** Which of the session's refresh tokens, from 0. */
  readonly counter: number;
  /** HMAC over everything before it. */
  readonly mac: Uint8Array;
}

/** `cl_rt_<version, session, counter, MAC in base 62>_<checksum>`: one spelling each. */
export function writeRefreshToken(key: Uint8Array, session: string, counter: number): SecretText {
  const head = headOf(session, counter);
  const bytes = Buffer.concat([head, macOf(key, head)]);
  const text = `${PREFIX}${base62(BigInt(`0x${bytes.toString("hex")}`), DIGITS)}`;
  return new SecretText(`${text}_${checksumOf(text)}`);
}

/** Undefined for what has not the form, checksum and version of a refresh token: refused without a look-up. */
export function readRefreshToken(text: string): RefreshToken | undefined {
  const digits = FORM.exec(text)?.[1];
  const end = text.length - CHECKSUM_LENGTH;
  if (digits === undefined || checksumOf(text.slice(0, end - 1)) !== text.slice(end)) return undefined;
  const hex = fromBase62(digits)
    .toString(16)
    .padStart(LENGTH * 2, "0");
  if (hex.length > LENGTH * 2) return undefined;
  const bytes = Buffer.from(hex, "hex");
  if (bytes[0] !== VERSION) return undefined;
  const id = bytes.subarray(ID_AT, COUNTER_AT).toString("hex");
  const session = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return { session, counter: bytes.readUInt32BE(COUNTER_AT), mac: new Uint8Array(bytes.subarray(MAC_AT)) };
}

/** Whether the session's key has made it; in constant time, so that a MAC cannot be found byte by byte. */
export const isSignedWith = (key: Uint8Array, { session, counter, mac }: RefreshToken): boolean =>
  timingSafeEqual(macOf(key, headOf(session, counter)), mac);

function headOf(session: string, counter: number): Uint8Array {
  if (counter > COUNTER_MAX) throw new TypeError("the session was refreshed too often");
  const head = Buffer.alloc(MAC_AT);
  head[0] = VERSION;
  head.write(session.replaceAll("-", ""), ID_AT, "hex");
  head.writeUInt32BE(counter, COUNTER_AT);
  return head;
}

/** As a key object: from bytes Node takes five times as long, by an error it makes and catches. */
const macOf = (key: Uint8Array, head: Uint8Array): Buffer =>
  createHmac("sha256", createSecretKey(key))
    .update("conduit/v1/refresh-token")
    .update(head)
    .digest()
    .subarray(0, MAC_BYTES);
