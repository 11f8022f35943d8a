import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Random } from "../random.ts";
import { SecretText } from "./secret-text.ts";

/** Kinds of opaque tokens and their prefixes; no kind is accepted in place of another. */
export const TOKEN_PREFIXES = {
  /** Link token: publishable, says which app calls. */
  linkToken: "cl_pub_",
  /** Management key of a back end or a person. */
  apiKey: "cl_key_",
  /** Credential of one proxy. */
  proxyCredential: "cl_prx_",
  /** Lets one proxy join, once. */
  joinToken: "cl_join_",
  /** Shows its holder why a link refuses tokens. */
  debugKey: "cl_dbg_",
} as const;

export type TokenKind = keyof typeof TOKEN_PREFIXES;

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 22 base62 characters carry 131 bits. */
const RANDOM_LENGTH = 22;
/** Base 62 digits of a checksum. */
export const CHECKSUM_LENGTH = 6;
const BASE = BigInt(ALPHABET.length);
const BODY = new RegExp(`^[0-9A-Za-z]{${RANDOM_LENGTH}}_[0-9A-Za-z]{${CHECKSUM_LENGTH}}$`);

/** A number in base 62, padded to a length. */
export function base62(value: bigint, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest /= BASE) text = ALPHABET[Number(rest % BASE)] + text;
  return text;
}

/** Reads what `base62` writes; the text holds nothing else. */
export const fromBase62 = (text: string): bigint =>
  [...text].reduce((sum, digit) => sum * BASE + BigInt(ALPHABET.indexOf(digit)), 0n);

/** CRC-32 of everything before it: garbage is refused without a look-up, and scanners have no false positives. */
export const checksumOf = (text: string): string => base62(BigInt(crc32(text)), CHECKSUM_LENGTH);

/** A new token of a kind: `<prefix><22 random base62>_<6 checksum>`. Show it once, keep `hashToken` of it. */
export function generateToken(kind: TokenKind, random: Random): SecretText {
  // 24 bytes reduced to 22 base62 digits: the bias is below 2^-60.
  const number = BigInt(`0x${Buffer.from(random.bytes(24)).toString("hex")}`);
  const head = `${TOKEN_PREFIXES[kind]}${base62(number % BASE ** BigInt(RANDOM_LENGTH), RANDOM_LENGTH)}`;
  return new SecretText(`${head}_${checksumOf(head)}`);
}

/** Whether the text has the form and checksum of a token of this kind. Says nothing about its being known. */
export function isTokenOf(kind: TokenKind, text: string): boolean {
  const prefix = TOKEN_PREFIXES[kind];
  if (!text.startsWith(prefix) || !BODY.test(text.slice(prefix.length))) return false;
  const end = text.length - CHECKSUM_LENGTH;
  return checksumOf(text.slice(0, end - 1)) === text.slice(end);
}

/** SHA-256 of a token, lower case hex: what is stored and looked up. The tokens are random, so no slow hash is needed. */
export function hashToken(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
