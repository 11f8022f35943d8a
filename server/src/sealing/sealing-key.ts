import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import type { Random } from "../random.ts";

/** AES-256. */
export const KEY_BYTES = 32;

const ID_BYTES = 16;

/** A key that seals. Node's KeyObject keeps its bytes: it prints and serialises as nothing. */
export interface SealingKey {
  /** Derived from the key, as a UUID text: tells keys apart and gives nothing away. */
  readonly id: string;
  readonly key: KeyObject;
}

/** A key from its 32 bytes. @throws TypeError for another length */
export function sealingKey(bytes: Uint8Array): SealingKey {
  if (bytes.length !== KEY_BYTES) throw new TypeError(`a sealing key has ${KEY_BYTES} bytes`);
  const key = createSecretKey(bytes);
  return { id: idText(new Uint8Array(hkdfSync("sha256", key, "", "conduit/v1/key-id", ID_BYTES))), key };
}

export const generateSealingKey = (random: Random): SealingKey => sealingKey(random.bytes(KEY_BYTES));

/** The key's bytes: only to wrap the key or to hand it to the one who may hold it. */
export const keyBytes = ({ key }: SealingKey): Uint8Array => new Uint8Array(key.export());

/** 16 bytes as UUID text, so that a database keeps them as `uuid`. */
export function idText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Reads what `idText` writes. */
export const idBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll("-", ""), "hex"));
