import { createFetchWithAuth, type FetchWithAuth } from "./fetch-with-auth.ts";
import { type ConduitEvents, type GetToken, headerSafe, type TokenSource } from "./grant.ts";
import { defaultPlatform, type Platform } from "./platform.ts";
import { parseTarget } from "./target.ts";
import { type ConduitState, TokenManager } from "./token-manager.ts";

/** Options of {@link createConduit}. */
export interface ConduitOptions {
  /** The link: `https://<proxy>/<link-id>`. Plain http only to `localhost`, `127.0.0.0/8` and `[::1]`. */
  readonly url: string | URL;
  /** The link's publishable token `cl_pub_…`, sent as `X-Access-Token`; names the app, proves nothing, is never refreshed. */
  readonly linkToken?: string;
  /** Where the user's JWT comes from. It must not call `fetchWithAuth` of the same client: it would wait for itself until the time-out. */
  readonly getToken: GetToken | TokenSource<TokenManager>;
  /** Further URL prefixes that may get both credentials, each an origin or an origin with a path. Default none. */
  readonly allowedOrigins?: readonly string[];
  /** Limit of one call of `getToken`, in ms. Default 10,000; 1 to 2^31 - 1. */
  readonly refreshTimeoutMs?: number | undefined;
  /** Refresh by a timer too, not only when a call needs a token. Default true; turn it off on servers and edge workers. */
  readonly autoRefresh?: boolean | undefined;
  /**
   * A 429 whose `Retry-After` is at most this, in ms, is waited for and the call sent once more, if its body can be. Default 0: every 429 is
   * returned at once.
   */
  readonly retryAfterMaxMs?: number | undefined;
  /** Replaces parts of the runtime, for tests. */
  readonly platform?: Partial<Platform>;
}

/** One user's access to one link. */
export interface Conduit {
  /** The link's URL in normal form, without a trailing slash: what other clients call their base URL. */
  readonly url: string;
  /** The link token as given. */
  readonly linkToken: string | undefined;
  /**
   * A drop-in `fetch`, bound. A string that begins with `/` is appended to `url`; absolute URLs and `Request`s must lie below `url` or an
   * `allowedOrigins` entry (`origin_not_allowed` otherwise, and nothing is sent). The caller's headers are kept, none is added but the two
   * credentials. Redirects are followed within the allowed prefixes only; browsers do not let us look, so there every redirect rejects.
   * Statuses never reject; what does: `ConduitError`, the caller's own abort reason, and the network errors of `fetch`.
   */
  readonly fetchWithAuth: FetchWithAuth;
  /** The token and its refresh. */
  readonly tokens: TokenManager;
  /** Read at the time of asking; changes are told by `change`. */
  readonly state: ConduitState;
  /** Adds a listener; answers the function that removes it. */
  on<Type extends keyof ConduitEvents>(type: Type, listener: (event: ConduitEvents[Type]) => void): () => void;
  /**
   * Forgets the token at once; calls that wait for one reject with `session_lost`, calls already sent finish. Then ends the session at its
   * source, if that has a `signOut`; a plain `getToken` is asked again by the next call, so end the session there first.
   */
  signOut(): Promise<void>;
  /** Stops timers and listeners for good. May be called again. */
  dispose(): void;
}

/**
 * Makes a client of one link. Nothing is sent, timed or listened to before it is used.
 * Throws `TypeError` for options out of shape, `ConduitError` `origin_not_allowed` for plain http off the own machine.
 */
export function createConduit(options: ConduitOptions): Conduit {
  const { url, linkToken, getToken, allowedOrigins, retryAfterMaxMs = 0, ...rest } = options;
  const source = typeof getToken === "object" ? getToken : { getToken };
  const platform = { ...defaultPlatform, ...options.platform };
  const tokens = new TokenManager({ ...rest, refresh: source.getToken, platform });
  const target = parseTarget(url, allowedOrigins);
  if (linkToken !== undefined) headerSafe(linkToken, "linkToken");
  const detach = source.attach?.(tokens);
  return {
    url: target.url,
    linkToken,
    fetchWithAuth: createFetchWithAuth({ target, tokens, platform, linkToken, retryAfterMaxMs }),
    tokens,
    get state() {
      return tokens.state;
    },
    on: tokens.on,
    async signOut() {
      tokens.clear();
      await source.signOut?.();
    },
    dispose() {
      detach?.();
      tokens.dispose();
    },
  };
}
