import { createCipheriv, createDecipheriv } from "node:crypto";
import type { Random } from "../random.ts";
import { SealingError } from "./sealing-error.ts";
import { idBytes, idText, type SealingKey } from "./sealing-key.ts";

/** Where a sealed value lies. It opens there and nowhere else: who can write the database cannot move ciphertext. */
export interface SealedPlace {
  readonly table: string;
  readonly column: string;
  /** Project id; "" = the installation. */
  readonly project: string;
  readonly row: string;
  /** Of the value: grows when it is replaced, so that an old one put back does not open. */
  readonly version: number;
}

/** What a value is bound to, as a list of texts: its purpose first. Encoded as JSON, so no two lists look alike. */
export type Binding = readonly (string | number)[];

/** Layout: format, algorithm, id of the key, nonce, ciphertext, tag. */
const FORMAT = 1;
const AES_256_GCM = 1;
const ID_AT = 2;
const NONCE_AT = 18;
const TEXT_AT = 30;
const TAG_BYTES = 16;
const NONCE_BYTES = TEXT_AT - NONCE_AT;

export const bindingOf = ({ table, column, project, row, version }: SealedPlace): Binding => [
  "row",
  table,
  column,
  project,
  row,
  version,
];

/** The header is bound too: its key id cannot be exchanged. */
const associatedData = (header: Uint8Array, binding: Binding): Buffer =>
  Buffer.concat([header, Buffer.from(JSON.stringify(["conduit/v1", ...binding]))]);

/**
 * Seals bytes with AES-256-GCM under a random 96-bit nonce (keep below 2^32 values per key, NIST SP 800-38D 8.3).
 * The length of the plaintext shows.
 */
export function seal(key: SealingKey, plaintext: Uint8Array, binding: Binding, random: Random): Uint8Array {
  const header = Buffer.from([FORMAT, AES_256_GCM, ...idBytes(key.id)]);
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.key, nonce);
  cipher.setAAD(associatedData(header, binding));
  return new Uint8Array(Buffer.concat([header, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

/** Opens what `seal` made; wipe the answer (`fill(0)`) once it is used. @throws SealingError when it is another key's, was changed, or is bound to something else */
export function open(key: SealingKey, sealed: Uint8Array, binding: Binding): Uint8Array {
  if (sealingKeyIdOf(sealed) !== key.id) throw new SealingError("key_unknown", sealingKeyIdOf(sealed));
  const tagAt = sealed.length - TAG_BYTES;
  const nonce = sealed.subarray(NONCE_AT, TEXT_AT);
  // Without authTagLength Node accepts tags of 4 bytes too, which can be guessed.
  const decipher = createDecipheriv("aes-256-gcm", key.key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData(sealed.subarray(0, NONCE_AT), binding));
  decipher.setAuthTag(sealed.subarray(tagAt));
  const plaintext = decipher.update(sealed.subarray(TEXT_AT, tagAt));
  try {
    return new Uint8Array(Buffer.concat([plaintext, decipher.final()]));
  } catch {
    throw new SealingError("does_not_open", key.id);
  } finally {
    // The copy is the caller's to wipe; this one would lie in memory until it is collected.
    plaintext.fill(0);
  }
}

/** What every value sealed under this key begins with. */
export const sealedPrefix = (keyId: string): Uint8Array => new Uint8Array([FORMAT, AES_256_GCM, ...idBytes(keyId)]);

/** Id of the key a value is sealed under. @throws SealingError when it is no sealed value */
export function sealingKeyIdOf(sealed: Uint8Array): string {
  if (sealed[0] !== FORMAT || sealed[1] !== AES_256_GCM || sealed.length < TEXT_AT + TAG_BYTES)
    throw new SealingError("malformed");
  return idText(sealed.subarray(ID_AT, NONCE_AT));
}
