/** A session's refresh tokens live this long after the last refresh, unless its project says otherwise (contract.md 8). */
export const SESSION_IDLE_DEFAULT_MS = 7 * 24 * 60 * 60 * 1000;
/** And never longer than this after it was opened. */
export const SESSION_ABSOLUTE_DEFAULT_MS = 30 * 24 * 60 * 60 * 1000;

export type SessionState = "ACTIVE" | "EXPIRED" | "REVOKED";

/** A person's log-in at one device: a family of refresh tokens, of which one at a time is current. */
export interface Session {
  /** `projects/{project}/sessions/{session}`; the last part is the `sid` of its access tokens. */
  readonly name: string;
  readonly subject: string;
  /** Resource names: the audience of its access tokens. */
  readonly links: readonly string[];
  /** Space separated; "" = none. */
  readonly scope: string;
  /** For people; "" = none. */
  readonly deviceLabel: string;
  /** Id of the API key that opened it. */
  readonly clientId: string;
  /** All times are milliseconds since the epoch. */
  readonly createTimeMs: number;
  /** Last refresh; undefined = none yet. */
  readonly lastUseTimeMs: number | undefined;
  /** When it ends if nobody refreshes. */
  readonly expireTimeMs: number;
  /** Undefined = it was not. */
  readonly revokeTimeMs: number | undefined;
  readonly revokeReason: string;
}
