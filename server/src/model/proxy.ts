/** A resource a proxy could not apply; it keeps the version before. */
export interface RejectedResource {
  /** Resource name. */
  readonly name: string;
  /** Version that was rejected, decimal (it is stored as JSON). */
  readonly version: string;
  /** Why; no values of secrets. */
  readonly message: string;
}

/** One instance of the data plane, as far as the database knows. */
export interface ProxyInstance {
  /** `proxies/{proxy}`. */
  readonly name: string;
  readonly displayName: string;
  /** Software it last reported; "" = none yet. */
  readonly softwareVersion: string;
  /** Sequence of the configuration it has applied. */
  readonly appliedSequence: bigint;
  readonly rejected: readonly RejectedResource[];
  /** Milliseconds since the epoch. */
  readonly createTimeMs: number;
  /** Undefined = it never reported. */
  readonly lastSeenTimeMs?: number;
  /** Undefined = it has not been revoked. */
  readonly revokeTimeMs?: number;
  readonly etag: string;
  /** When it got its credential. */
  readonly credentialCreateTimeMs: number;
}
