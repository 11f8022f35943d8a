import { randomBytes, randomUUID } from "node:crypto";

/** Randomness as the rest of the server sees it; tests may pass a repeatable one. */
export interface Random {
  /** `length` bytes from a cryptographic source. */
  bytes(length: number): Uint8Array;
  /** A random UUID (version 4). */
  uuid(): string;
}

/** The system's cryptographic source. */
export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  uuid: () => randomUUID(),
};
