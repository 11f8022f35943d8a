import type { GetToken, Grant, ParsedGrant } from "../grant.ts";

/** Where a session gets its next token: what `fromControlPlane` makes, or something like it. */
export interface RefreshSource {
  /** `null` = the session has ended. Gets the refresh token that the store keeps, and the `attemptId` that is written there. */
  readonly getToken: GetToken;
  /** Makes of the tokens of a login what is to be kept, before anything is; `null` = they do not count any more. Default: as they are. */
  begin?(login: ParsedGrant): Promise<Grant | null>;
  /** Ends the session at its server, by the refresh token if there is one. Rejects when it could not be told. */
  revoke?(refreshToken: string | undefined): Promise<void>;
}

/** A failure that may pass: never the end of a session. `retryAfterMs` holds off further calls for so long. */
export function passingFailure(what: string, response: Response, retryAfterMs: number): Error {
  const error = new Error(`${what}: HTTP ${response.status}`);
  return retryAfterMs >= 0 ? Object.assign(error, { retryAfterMs }) : error;
}

/**
 * The URL as given. Throws `TypeError` for none, and for plain http off the own machine, where anyone on the way could read the tokens. Relative URLs are
 * the page's own.
 */
export function secureUrl(url: string, name: string): string {
  if (!url) throw new TypeError(`${name} must be a URL`);
  // Parsers drop white space anywhere in a scheme.
  const text = url.replace(/\s/g, "");
  const isLoopback = /^http:\/\/(localhost|127(\.\d+){3}|\[::1\])(:\d+)?([/?#]|$)/i.test(text);
  if (/^http:/i.test(text) && !isLoopback) throw new TypeError(`${name} must be https, except on loopback`);
  return url;
}
