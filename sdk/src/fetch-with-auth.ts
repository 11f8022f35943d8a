import { within } from "./abort.ts";
import { type BodySource, bodySource, type ConduitBody, noBody } from "./body.ts";
import { isCurable } from "./curable.ts";
import { ConduitError } from "./errors.ts";
import type { HeldToken } from "./expiry.ts";
import type { Platform } from "./platform.ts";
import { retryAfterMs } from "./retry-after.ts";
import type { Target } from "./target.ts";
import type { TokenManager } from "./token-manager.ts";

/** `RequestInit`, with more about bodies and tokens. */
export interface ConduitRequestInit extends Omit<RequestInit, "body"> {
  /** May also be a function that makes it anew for each attempt. */
  body?: ConduitBody | null;
  /** `none`: without a user's token, nobody is asked for one; for what a link opens to anonymous callers. Default `required`. */
  auth?: "required" | "none";
  /** Whether a 401 that a new token can cure is followed by a refresh and a second attempt. Default true; without it no body is cloned. */
  retryOn401?: boolean;
  /** Wait for a fresh token when the current one is valid for no longer than this, in ms (long uploads). Default 0. */
  minTtlMs?: number;
}

/** A drop-in `fetch`. */
export type FetchWithAuth = (input: string | URL | Request, init?: ConduitRequestInit) => Promise<Response>;

/** What `fetchWithAuth` works with. */
export interface FetchWithAuthParts {
  readonly target: Target;
  readonly tokens: TokenManager;
  readonly platform: Platform;
  readonly linkToken: string | undefined;
  readonly retryAfterMaxMs: number;
}

/** One call while it is under way; a redirect rewrites it. */
interface Call {
  url: string;
  body: BodySource;
  readonly headers: Headers;
  readonly init: RequestInit & { method: string };
  readonly auth: ConduitRequestInit["auth"];
  readonly retryOn401: boolean;
  readonly minTtlMs: number | undefined;
  readonly redirect: RequestRedirect;
  readonly signal: AbortSignal | null | undefined;
}

const maxRedirects = 20;

/**
 * Makes a bound `fetch` that sends both credentials, to allowed prefixes only, and retries once after a 401 that a new token can cure.
 * The answer of the last attempt is returned whatever its status.
 */
export function createFetchWithAuth(parts: FetchWithAuthParts): FetchWithAuth {
  const { target, tokens, platform } = parts;
  return async function fetchWithAuth(input, init) {
    const call = openCall(target, input, init ?? {});
    const { signal, minTtlMs, body } = call;
    const acquire = (since?: HeldToken) => tokens.acquire({ signal, minTtlMs, fresh: body.oneShot, since });
    let { retryOn401 } = call;
    let { retryAfterMaxMs } = parts;
    try {
      let held = call.auth === "none" ? undefined : await acquire();
      for (let redirectsLeft = maxRedirects; ; ) {
        const response = await send(parts, call, held?.token);
        const { status, headers } = response;
        if (held && status === 401 && retryOn401 && isCurable(headers.get("X-Conduit-Error"))) {
          retryOn401 = false;
          const renewed = await renew(tokens, call, held, response);
          if (!renewed) return response;
          held = renewed;
          discard(response);
          continue;
        }
        const waitMs = status === 429 && !body.oneShot ? retryAfterMs(response, platform.now()) : Number.NaN;
        if (waitMs <= retryAfterMaxMs) {
          retryAfterMaxMs = -1;
          discard(response);
          // Somewhat later, or all who were told the same second come back in it.
          await within(platform, new Promise<never>(() => {}), waitMs + 500 * platform.random(), signal);
          held &&= await acquire(held);
          continue;
        }
        const location = redirectLocation(call, response);
        if (location === null) return response;
        discard(response);
        if (redirectsLeft-- < 1) throw new ConduitError("redirect_refused", "Too many redirects");
        followRedirect(target, call, status, location);
      }
    } finally {
      call.body.release();
    }
  };
}

function openCall(target: Target, input: string | URL | Request, init: ConduitRequestInit): Call {
  const request = typeof input === "object" && "headers" in input ? input : undefined;
  const { body, headers, auth, retryOn401 = true, minTtlMs, ...rest } = init;
  const method = init.method ?? request?.method ?? "GET";
  const signal = init.signal === undefined ? request?.signal : init.signal;
  return {
    url: target.resolve(request ? request.url : (input as string | URL)),
    body: bodySource(body, request, method, retryOn401),
    headers: new Headers(headers ?? request?.headers),
    // What a redirect, whose next request is made of the URL alone, must keep of a `Request`.
    init: { ...rest, method, ...(signal && { signal }) },
    auth,
    retryOn401,
    minTtlMs,
    redirect: init.redirect ?? request?.redirect ?? "follow",
    signal,
  };
}

async function send(
  { platform, linkToken }: FetchWithAuthParts,
  call: Call,
  token: string | undefined,
): Promise<Response> {
  const headers = new Headers(call.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (linkToken) headers.set("X-Access-Token", linkToken);
  const { request, init } = await call.body.next();
  // Never 'follow': every runtime sends X-Access-Token on to another origin (only Authorization is removed there).
  const redirect = call.redirect === "follow" ? "manual" : call.redirect;
  try {
    return await platform.fetch(request ?? call.url, { ...call.init, ...init, headers, redirect });
  } catch (error) {
    // Node 24.14 turns a 401 to a streamed body into a TypeError, because it tries to authenticate by itself (nodejs/undici#4910).
    const { cause } = Object(error) as { readonly cause?: { readonly message?: unknown } | null };
    if (cause?.message !== "expected non-null body source") throw error;
    throw new ConduitError("body_not_replayable", "The stream is spent", error);
  }
}

/** The token for the second attempt; `undefined` = the 401 is the answer. */
async function renew(
  tokens: TokenManager,
  call: Call,
  held: HeldToken,
  response: Response,
): Promise<HeldToken | undefined> {
  // A spent stream cannot be sent again; the refresh still begins, for the next call.
  const renewed = tokens.renew(held, call.signal);
  if (call.body.oneShot) {
    renewed.catch(() => {});
    return undefined;
  }
  return renewed.catch((error) => {
    if (!call.signal?.aborted) return undefined;
    discard(response);
    throw error;
  });
}

/** Where a redirect leads that is ours to follow; `null` = the response is the answer. */
function redirectLocation(call: Call, response: Response): string | null {
  if (call.redirect !== "follow") return null;
  if (response.type === "opaqueredirect") {
    throw new ConduitError("redirect_refused", "The browser hides its target");
  }
  return /^30[12378]$/.test(String(response.status)) ? response.headers.get("Location") : null;
}

/** Rewrites the call by the method rules of fetch (HTTP-redirect fetch, steps 11 to 13), for allowed targets only. */
function followRedirect(target: Target, call: Call, status: number, location: string): void {
  const { href, origin } = new URL(location, call.url);
  if (!target.allows(href)) {
    throw new ConduitError("origin_not_allowed", `Redirect to ${origin}`);
  }
  call.url = href;
  const method = call.init.method.toUpperCase();
  const becomesGet = status === 303 ? method !== "GET" && method !== "HEAD" : status < 303 && method === "POST";
  if (becomesGet) {
    call.body.release();
    call.body = noBody;
    call.init.method = "GET";
    for (const name of [...call.headers.keys()]) if (name.startsWith("content-")) call.headers.delete(name);
  } else {
    call.body = call.body.detach();
  }
}

/** Frees the connection of an answer nobody reads. React Native has no `body`. */
function discard(response: Response): void {
  void response.body?.cancel().catch(() => {});
}
