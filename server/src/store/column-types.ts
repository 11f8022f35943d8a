import { customType } from "drizzle-orm/pg-core";

/** `bytea` as plain `Uint8Array` on both drivers (postgres.js gives a Buffer over a shared pool). */
export const bytea = customType<{ data: Uint8Array; driverData: Uint8Array }>({
  dataType: () => "bytea",
  fromDriver: (value) => new Uint8Array(value),
  toDriver: (value) => Buffer.from(value),
});

/** A 256-bit digest as `bit(256)`, so that SQL can XOR it under the head's lock. */
export const digest256 = customType<{ data: Uint8Array; driverData: string }>({
  dataType: () => "bit(256)",
  fromDriver: (bits) => bytesOfBits(bits),
  toDriver: (bytes) => bitsOfBytes(bytes),
});

/** `01000001…`, most significant bit first. */
export const bitsOfBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");

/** Reads what `bitsOfBytes` writes. */
export const bytesOfBits = (bits: string): Uint8Array =>
  Uint8Array.from({ length: bits.length / 8 }, (_, index) => Number.parseInt(bits.slice(index * 8, index * 8 + 8), 2));
