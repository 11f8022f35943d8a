import { abortReason } from "../abort.ts";
import { headerSafe } from "../grant.ts";
import { parseTarget } from "../target.ts";
import { callUnary } from "../unary.ts";
import { ControlError, parseControlError } from "./control-error.ts";
import {
  type ExchangeTokenRequest,
  type IntrospectedToken,
  type IntrospectTokenRequest,
  type MintedToken,
  type MintTokenRequest,
  parseIntrospected,
  parseMinted,
  parseVerdict,
  type RefreshTokenRequest,
  type RevokeTokenRequest,
  type TokenVerdict,
  type VerifyTokenRequest,
  withLifetime,
} from "./token-messages.ts";

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

/** A back end's access to the control plane. */
export interface ControlClient {
  /** Mints a user's access token. Never retried by itself: a lost answer may have minted. */
  mintToken(request: MintTokenRequest, options?: CallOptions): Promise<MintedToken>;
  /**
   * The next access and refresh token of a session. Never retried by itself; with `attemptId` the caller may. A refresh
   * token that is used up rejects with `unauthenticated` and reason `REFRESH_TOKEN_INVALID`.
   */
  refreshToken(request: RefreshTokenRequest, options?: CallOptions): Promise<MintedToken>;
  /** Another issuer's token for one of ours: same person, never more scope, never longer. Never retried by itself. */
  exchangeToken(request: ExchangeTokenRequest, options?: CallOptions): Promise<MintedToken>;
  /** Whether a token counts now, and what it says. What is unknown, expired or revoked is `active: false`, not an error. */
  introspectToken(request: IntrospectTokenRequest, options?: CallOptions): Promise<IntrospectedToken>;
  /** How the proxy would judge a request with this token, and why. A refusal is an answer here, not an error. */
  verifyToken(request: VerifyTokenRequest, options?: CallOptions): Promise<TokenVerdict>;
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
  const tokens = (method: string, message: Record<string, unknown>, options?: CallOptions) =>
    call("conduit.v1.TokenService", method, message, options);
  return {
    call,
    mintToken: async (request, options) => parseMinted(await tokens("MintToken", withLifetime(request), options)),
    refreshToken: async (request, options) => parseMinted(await tokens("RefreshToken", { ...request }, options)),
    exchangeToken: async (request, options) =>
      parseMinted(await tokens("ExchangeToken", withLifetime(request), options)),
    introspectToken: async (request, options) =>
      parseIntrospected(await tokens("IntrospectToken", { ...request }, options)),
    verifyToken: async (request, options) => parseVerdict(await tokens("VerifyToken", { ...request }, options)),
    revokeToken: async (request, options) => void (await tokens("RevokeToken", { ...request }, options)),
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
