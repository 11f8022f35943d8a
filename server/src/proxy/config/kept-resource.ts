import type { EncodedResource } from "../../model/config-digest.ts";

/**
 * Encoded bytes, each as one character: a `Uint8Array` costs 200 bytes more than what it holds, and one that is cut out of a
 * frame keeps the whole frame in memory.
 */
export type PayloadText = string & { readonly __brand: "PayloadText" };

/** A resource as the state keeps it: exactly as it came. */
export interface KeptResource {
  readonly kind: EncodedResource["kind"];
  readonly name: string;
  readonly version: bigint;
  readonly payload: PayloadText;
}

export const payloadText = (bytes: Uint8Array): PayloadText =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1") as PayloadText;

export function payloadBytes(text: PayloadText): Uint8Array {
  const { buffer, byteOffset, length } = Buffer.from(text, "latin1");
  return new Uint8Array(buffer, byteOffset, length);
}

export const keptOf = ({ kind, name, version, payload }: EncodedResource): KeptResource => ({
  kind,
  name,
  version,
  payload: payloadText(payload),
});

export const encodedOf = ({ kind, name, version, payload }: KeptResource): EncodedResource => ({
  kind,
  name,
  version,
  payload: payloadBytes(payload),
});
