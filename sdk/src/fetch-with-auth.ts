import { type BodySource, bodySource, type ConduitBody, noBody } from "./body.ts";
import { isCurable } from "./curable.ts";
import { ConduitError } from "./errors.ts";
import type { HeldToken } from "./expiry.ts";
import type { Platform } from "./platform.ts";
import type { Target } from "./target.ts";
import type { TokenManager } from "./token-manager.ts";

/** `RequestInit` whose body may also be a function that makes it anew for each attempt. */
export interface ConduitRequestInit extends Omit<RequestInit, "body"> {
  body?: ConduitBody | null;
}

/** A drop-in `fetch`. */
export type FetchWithAuth = (input: string | URL | Request, init?: ConduitRequestInit) => Promise<Response>;

/** What `fetchWithAuth` works with. */
export interface FetchWithAuthParts {
  readonly target: Target;
  readonly tokens: TokenManager;
  readonly platform: Platform;
  readonly linkToken: string | undefined;
}

/** One call while it is under way; a redirect rewrites it. */
interface Call {
  url: string;
  method: string;
  body: BodySource;
  readonly headers: Headers;
  readonly rest: RequestInit;
  readonly redirect: RequestRedirect;
  readonly signal: AbortSignal | null | undefined;
}

const maxRedirects = 20;

/**
 * Makes a bound `fetch` that sends both credentials, to allowed prefixes only, and retries once after a 401 that a new token can cure.
 * The answer of the last attempt is returned whatever its status.
 */
export function createFetchWithAuth(parts: FetchWithAuthParts): FetchWithAuth {
  const { target, tokens } = parts;
  return async function fetchWithAuth(input, init) {
    const call = openCall(target, input, init ?? {});
    try {
      let held = await tokens.acquire({ signal: call.signal, fresh: call.body.oneShot });
      let retried = false;
      for (let redirects = 0; ; ) {
        const response = await send(parts, call, held.token);
        if (response.status === 401 && !retried && isCurable(response.headers.get("X-Conduit-Error"))) {
          retried = true;
          const renewed = await renew(tokens, call, held, response);
          if (!renewed) return response;
          held = renewed;
          discard(response);
          continue;
        }
        const location = redirectLocation(call, response);
        if (location === null) return response;
        discard(response);
        if (++redirects > maxRedirects)
          throw new ConduitError("redirect_refused", `More than ${maxRedirects} redirects`);
        followRedirect(target, call, response.status, location);
      }
    } finally {
      call.body.release();
    }
  };
}

function openCall(target: Target, input: string | URL | Request, init: ConduitRequestInit): Call {
  const request = typeof input === "object" && "headers" in input ? input : undefined;
  const { body, headers, ...rest } = init;
  const method = init.method ?? request?.method ?? "GET";
  return {
    url: target.resolve(request ? request.url : (input as string | URL)),
    method,
    body: bodySource(body, request, method),
    headers: new Headers(headers ?? request?.headers),
    rest,
    redirect: init.redirect ?? request?.redirect ?? "follow",
    signal: init.signal === undefined ? request?.signal : init.signal,
  };
}

async function send({ platform, linkToken }: FetchWithAuthParts, call: Call, token: string): Promise<Response> {
  const headers = new Headers(call.headers);
  headers.set("Authorization", `Bearer ${token}`);
  if (linkToken) headers.set("X-Access-Token", linkToken);
  const { request, init } = await call.body.next();
  // Never 'follow': every runtime sends X-Access-Token on to another origin (only Authorization is removed there).
  const redirect = call.redirect === "follow" ? "manual" : call.redirect;
  try {
    return await platform.fetch(request ?? call.url, { ...call.rest, ...init, headers, redirect });
  } catch (error) {
    throw isUnreplayable401(error)
      ? new ConduitError("body_not_replayable", "The token was refused, and the streamed body is spent", error)
      : error;
  }
}

/** Node 24.14 turns a 401 to a streamed body into a TypeError, because it tries to authenticate by itself (nodejs/undici#4910). */
function isUnreplayable401(error: unknown): boolean {
  const cause = error instanceof TypeError ? error.cause : undefined;
  return cause instanceof Error && cause.message === "expected non-null body source";
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
    throw new ConduitError("redirect_refused", "A redirect, and the browser does not tell where to");
  }
  return /^30[12378]$/.test(String(response.status)) ? response.headers.get("Location") : null;
}

/** Rewrites the call by the method rules of fetch (HTTP-redirect fetch, steps 11 to 13), for allowed targets only. */
function followRedirect(target: Target, call: Call, status: number, location: string): void {
  const { href, origin } = new URL(location, call.url);
  if (!target.allows(href)) {
    throw new ConduitError("origin_not_allowed", `Redirect to ${origin}, outside the allowed prefixes`);
  }
  call.url = href;
  const method = call.method.toUpperCase();
  const becomesGet = status === 303 ? method !== "GET" && method !== "HEAD" : status < 303 && method === "POST";
  if (becomesGet) {
    call.body.release();
    call.body = noBody();
    call.method = "GET";
    for (const name of ["encoding", "language", "location", "type", "length"]) call.headers.delete(`Content-${name}`);
  } else {
    call.body = call.body.detach();
  }
  call.rest.method = call.method;
  call.rest.signal = call.signal ?? null;
}

/** Frees the connection of an answer nobody reads. React Native has no `body`. */
function discard(response: Response): void {
  void response.body?.cancel().catch(() => {});
}
