/** A link token as the server holds it; its text is known to nobody, only the hash. */
export interface LinkToken {
  /** `projects/{project}/links/{link}/tokens/{token}`. */
  readonly name: string;
  readonly displayName: string;
  /** SHA-256 of the text, lower case hex. */
  readonly tokenHash: string;
  /** Serialised origins; empty = any. */
  readonly allowedOrigins: readonly string[];
  /** Addresses or CIDR networks; empty = any. */
  readonly allowedAddresses: readonly string[];
  /** Milliseconds since the epoch; undefined = never. */
  readonly expireTimeMs?: number;
}
