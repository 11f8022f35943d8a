import { abortReason } from "../abort.ts";
import { headerSafe } from "../grant.ts";
import { parseTarget } from "../target.ts";
import { callUnary } from "../unary.ts";
import { ControlError, parseControlError } from "./control-error.ts";
import { durationSeconds } from "./duration.ts";

/** Options of {@link createControlClient}. */
export interface ControlClientOptions {
  /** The control plane's HTTP address, e.g. `https://control.example`. Plain http only on loopback: the key travels with each call. */
  readonly url: string | URL;
  /** A management key `cl_key_…`, or a function that reads it at each call. */
  readonly apiKey: string | (() => string | Promise<string>);
  /** Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Limit of one call in ms. Default 60,000; 1 to 2^31 - 1. */
  readonly timeoutMs?: number;
}

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Limit of this call in ms; default: the client's. */
  readonly timeoutMs?: number | undefined;
}

/** A token to mint. Roles needed: `minter` of the project. */
export interface MintTokenRequest {
  /** `projects/{project}`. */
  readonly parent: string;
  /** The person: the token's `sub`. */
  readonly subject: string;
  /** The links it is for, by resource name `projects/{project}/links/{link}`. */
  readonly links: readonly string[];
  /** Seconds, or `15m`, `900s`, `1h`. Default: the project's (15 min); the server caps it. */
  readonly lifetime?: number | string;
  /** The same in seconds; give one of the two. */
  readonly lifetimeSeconds?: number;
  /** Further claims. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly roles?: readonly string[];
  /** Space separated, RFC 8693 section 4.2. */
  readonly scope?: string;
  /** Asks for a refresh token too; `{}` for the project's defaults. */
  readonly session?: Readonly<Record<string, unknown>>;
}

/** A minted token. The names are those a `getToken` may answer, so a back end can hand it on as it is. */
export interface MintedToken {
  readonly accessToken: string;
  /** `Bearer`. */
  readonly tokenType: string;
  /** Seconds. */
  readonly expiresIn: number;
  /** RFC 3339. */
  readonly expireTime: string;
  /** Its `jti`, by which it can be revoked. */
  readonly tokenId: string;
  /** Only with `session`. */
  readonly refreshToken?: string;
}

/** A refresh token to use. */
export interface RefreshTokenRequest {
  /** The session's current one, `cl_rt_…`. */
  readonly refreshToken: string;
  /** New for each attempt, the same for its retries: a retry then gets the answer that was lost, at any later time. */
  readonly attemptId?: string;
  /** Id of the link, or of the API key, that the session belongs to. */
  readonly clientId?: string;
}

/** What to withdraw: one of `token`, `tokenId` and `sessionId`. Role needed: `minter`. */
export interface RevokeTokenRequest {
  /** `projects/{project}`. */
  readonly parent: string;
  /** An access token (that one) or a refresh token (its session), as text. */
  readonly token?: string;
  /** `jti` of an access token. */
  readonly tokenId?: string;
  /** `sid` of a session's access tokens. */
  readonly sessionId?: string;
  /** For people; at most 200 characters. */
  readonly reason?: string;
}

/** A back end's access to the control plane. */
export interface ControlClient {
  /** Mints a user's access token. Never retried by itself: a lost answer may have minted. */
  mintToken(request: MintTokenRequest, options?: CallOptions): Promise<MintedToken>;
  /**
   * The next access and refresh token of a session. Never retried by itself; with `attemptId` the caller may. A refresh
   * token that is used up rejects with `unauthenticated` and reason `REFRESH_TOKEN_INVALID`.
   */
  refreshToken(request: RefreshTokenRequest, options?: CallOptions): Promise<MintedToken>;
  /** Withdraws a token or a session at every proxy. What is unknown or has expired is no error. */
  revokeToken(request: RevokeTokenRequest, options?: CallOptions): Promise<void>;
  /**
   * Any unary method, in proto JSON (lowerCamelCase, durations as `"900s"`): `call("conduit.v1.LinkService", "ListLinks", { parent })`.
   * Rejects with {@link ControlError}: the server's refusal, or `unavailable` / `deadline_exceeded` without `status` when no answer came.
   */
  call<Response = Record<string, unknown>>(
    service: string,
    method: string,
    message: Readonly<Record<string, unknown>>,
    options?: CallOptions,
  ): Promise<Response>;
}

/**
 * Makes a client of the control plane for back ends: Connect's JSON form over `fetch`, no dependencies.
 * Throws `TypeError` for options out of shape, `ConduitError` `origin_not_allowed` for plain http off loopback.
 */
export function createControlClient(options: ControlClientOptions): ControlClient {
  const { apiKey } = options;
  const target = parseTarget(options.url);
  const send = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  if (typeof apiKey !== "function") headerSafe(apiKey, "apiKey");

  const call: ControlClient["call"] = async (service, method, message, { signal, timeoutMs } = {}) => {
    const limitMs = checkTimeout(timeoutMs ?? options.timeoutMs ?? 60_000);
    if (!/^[\w.]+$/.test(service) || !/^\w+$/.test(method))
      throw new TypeError("service and method must be protobuf names");
    const key = headerSafe(typeof apiKey === "function" ? await apiKey() : apiKey, "apiKey");
    const url = target.resolve(`/${service}/${method}`);
    const { status, body } = await withDeadline(limitMs, signal, (deadline) =>
      callUnary(send, {
        url,
        message,
        headers: { Authorization: `Bearer ${key}` },
        signal: deadline,
        timeoutMs: limitMs,
      }),
    );
    if (status !== 200) throw parseControlError(status, body);
    if (typeof body !== "object" || body === null) {
      throw new ControlError("internal", "The control plane's answer was not a JSON object", { status });
    }
    return body as never;
  };
  return {
    call,
    mintToken: async (request, callOptions) =>
      parseMinted(await call("conduit.v1.TokenService", "MintToken", mintMessage(request), callOptions)),
    refreshToken: async (request, callOptions) =>
      parseMinted(await call("conduit.v1.TokenService", "RefreshToken", { ...request }, callOptions)),
    revokeToken: async (request, callOptions) => {
      await call("conduit.v1.TokenService", "RevokeToken", { ...request }, callOptions);
    },
  };
}

function mintMessage({ lifetime, lifetimeSeconds, ...rest }: MintTokenRequest): Record<string, unknown> {
  if (lifetime !== undefined && lifetimeSeconds !== undefined)
    throw new TypeError("give lifetime or lifetimeSeconds, not both");
  const asked = lifetime ?? lifetimeSeconds;
  return { ...rest, ...(asked !== undefined && { lifetime: `${durationSeconds(asked, "lifetime")}s` }) };
}

/** Proto JSON leaves out empty fields and writes 64-bit numbers as strings; the completed value has neither quirk. */
function parseMinted(body: Record<string, unknown>): MintedToken {
  const text = (name: string) => String(body[name] ?? "");
  if (text("accessToken") === "") throw new ControlError("internal", "The control plane's answer holds no token");
  return {
    accessToken: text("accessToken"),
    tokenType: text("tokenType") || "Bearer",
    expiresIn: Number.parseFloat(text("expiresIn")) || 0,
    expireTime: text("expireTime"),
    tokenId: text("tokenId"),
    ...(body.refreshToken !== undefined && { refreshToken: text("refreshToken") }),
  };
}

function checkTimeout(timeoutMs: number): number {
  if (timeoutMs >= 1 && timeoutMs < 2 ** 31) return Math.floor(timeoutMs);
  throw new TypeError("timeoutMs must be 1 to 2^31 - 1");
}

/** Runs under a deadline and the caller's signal, with a listener of our own that is removed: `AbortSignal.any` leaks with long-lived signals. */
async function withDeadline<T>(
  limitMs: number,
  signal: AbortSignal | undefined,
  run: (deadline: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  if (signal?.aborted) throw abortReason(signal);
  const timer = setTimeout(abort, limitMs);
  signal?.addEventListener("abort", abort);
  try {
    return await run(controller.signal);
  } catch (cause) {
    if (signal?.aborted) throw abortReason(signal);
    throw controller.signal.aborted
      ? new ControlError("deadline_exceeded", `The control plane did not answer within ${limitMs} ms`, { cause })
      : new ControlError("unavailable", "The control plane could not be reached", { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
