/**
 * Why the SDK refused or failed. An HTTP status is never one of these: answers are returned, also a 401 that could not be cured.
 *
 * - `origin_not_allowed`: the target, a redirect or a configured URL is outside the allowed prefixes, or plain http off loopback; nothing was sent there
 * - `redirect_refused`: a redirect the runtime does not let us look at (browsers), or more than 20 of them
 * - `session_lost`: `getToken` answered `null`, or the client was signed out while the call waited
 * - `refresh_failed`: `getToken` threw or answered something that is no token; the session is kept
 * - `refresh_timeout`: `getToken` took longer than `refreshTimeoutMs`; the session is kept
 * - `body_not_replayable`: the body was a stream already spent, and the request had to be sent again
 * - `disposed`: the client was used after `dispose()`
 * - `events_refused`: the answer is no event stream, cannot be read as one, or holds an event too long (`/events`)
 */
export type ConduitErrorCode =
  | "origin_not_allowed"
  | "redirect_refused"
  | "session_lost"
  | "refresh_failed"
  | "refresh_timeout"
  | "body_not_replayable"
  | "disposed"
  | "events_refused";

const brand: unique symbol = Symbol.for("conduit-link.error");

/** The one error class of the SDK's core. Messages name parameters and origins, never tokens, paths or queries. */
export class ConduitError extends Error {
  declare readonly code: ConduitErrorCode;
  /** Whether the same call may succeed later without anyone signing in or changing code. */
  declare readonly retryable: boolean;

  /** `cause` is what was caught underneath, kept as it came (unset when there was nothing). */
  constructor(code: ConduitErrorCode, message: string, cause?: unknown) {
    super(message);
    this.name = "ConduitError";
    this.code = code;
    this.retryable = /^refresh/.test(code);
    // Assigned, not passed to super(): older Hermes ignores the options argument.
    if (cause !== undefined) this.cause = cause;
  }

  get [brand](): boolean {
    return true;
  }
}

/**
 * Whether `error` is a {@link ConduitError}, and of this code when one is given.
 * Asks the brand, not `instanceof`, so that it also holds between the ESM and the CommonJS copy of this package.
 */
export function isConduitError(error: unknown, code?: ConduitErrorCode): error is ConduitError {
  const { [brand]: isOurs, code: itsCode } = Object(error) as { readonly [brand]?: boolean; readonly code?: unknown };
  return isOurs === true && (code ?? itsCode) === itsCode;
}
