import { createHash } from "node:crypto";

/** What may be known about a stored secret: everything but its values. */
export interface SecretFacts {
  /** `projects/{project}/secrets/{secret}`. */
  readonly name: string;
  readonly displayName: string;
  /** `fingerprintOf` the value. */
  readonly fingerprint: string;
  readonly hasNextValue: boolean;
}

/** First 8 hexadecimal digits of a value's SHA-256: enough to tell two values apart, too little to search for one. */
export const fingerprintOf = (value: string): string => createHash("sha256").update(value).digest("hex").slice(0, 8);
