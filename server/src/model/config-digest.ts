import { hash } from "node:crypto";
import type { ConfigResourceKind } from "./config-resource.ts";

/** Bytes of a digest. */
export const DIGEST_BYTES = 32;

/** Digest of a state without resources. */
export const EMPTY_DIGEST: Uint8Array = new Uint8Array(DIGEST_BYTES);

/** By way of a text: a buffer for each of a million digests would leave the process's memory in splinters. */
function sha256(data: Uint8Array | string): Uint8Array {
  const text = hash("sha256", data, "binary");
  const digest = new Uint8Array(DIGEST_BYTES);
  for (let index = 0; index < DIGEST_BYTES; index += 1) digest[index] = text.charCodeAt(index);
  return digest;
}

/** One resource as the config log holds it. */
export interface EncodedResource {
  readonly kind: ConfigResourceKind;
  readonly name: string;
  readonly version: bigint;
  /** The encoded `LinkConfig`, `LinkTokenConfig`, … */
  readonly payload: Uint8Array;
}

/** SHA-256 of a payload: what tells a change from a write that changes nothing. */
export const payloadHash = (payload: Uint8Array): Uint8Array => sha256(payload);

/**
 * A resource's part in the digest of a state: SHA-256 of the lines kind, name, version (decimal), payload hash (hex).
 * Names hold no line breaks. The digest finds drift and lost changes; it is no authenticator (XOR of hashes can be forged).
 */
export function resourceDigest(resource: EncodedResource): Uint8Array {
  const payloadHex = hash("sha256", resource.payload, "hex");
  return sha256(`${resource.kind}\n${resource.name}\n${resource.version}\n${payloadHex}`);
}

/** XOR of two digests: adds a resource to a state's digest, or takes it out again. */
export function xorDigest(a: Uint8Array, b: Uint8Array): Uint8Array {
  const sum = new Uint8Array(DIGEST_BYTES);
  for (let index = 0; index < DIGEST_BYTES; index += 1) sum[index] = (a[index] ?? 0) ^ (b[index] ?? 0);
  return sum;
}

/** Whether two digests are the same; they are no secrets. */
export const isSameDigest = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Digest of a whole state, as the sum of its parts. */
export const stateDigest = (resources: Iterable<EncodedResource>): Uint8Array =>
  [...resources].reduce((sum, resource) => xorDigest(sum, resourceDigest(resource)), EMPTY_DIGEST);
