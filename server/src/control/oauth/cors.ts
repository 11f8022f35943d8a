import type { PlainAnswer, PlainRequest } from "../../model/plain-http.ts";
import { type CookiePage, CSRF_HEADER } from "./cookie-page.ts";
import { OAuthFault } from "./fault.ts";
import type { PublicClient } from "./public-client.ts";

/** Endpoints that pages of other origins may call (S24): those of public clients. */
const FOR_BROWSERS: readonly string[] = ["token", "revoke"];

const MAX_AGE_S = "600";
const ANY = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": "X-Request-ID, Retry-After",
} as const;

/** Headers that let the page of one origin read the answer, and have its cookies sent along. */
const withCookies = ({ origin }: CookiePage) =>
  ({
    ...ANY,
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Allow-Credentials": "true",
    Vary: "Origin",
  }) as const;

/**
 * The answer to a preflight; undefined = it is none, or of an endpoint that is not for browsers.
 * @param page that may use cookies; undefined = another, for which there are none: `*`
 */
export function preflightAnswer(
  { method, header }: PlainRequest,
  endpoint: string,
  page: CookiePage | undefined,
): PlainAnswer | undefined {
  const isPreflight = method === "OPTIONS" && header("origin") !== undefined;
  if (!isPreflight || header("access-control-request-method") === undefined || !FOR_BROWSERS.includes(endpoint))
    return undefined;
  const csrf = page === undefined ? "" : `, ${CSRF_HEADER}`;
  const allowed = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": `content-type, traceparent${csrf}`,
    "Access-Control-Max-Age": MAX_AGE_S,
  };
  return { status: 204, headers: { ...(page === undefined ? ANY : withCookies(page)), ...allowed }, body: "" };
}

/**
 * What makes an answer readable for the page that asked, as far as it may be. A client with a secret has no business in a
 * page: its answers stay unreadable.
 * @param client undefined = unknown: then anybody may read the refusal
 */
export function corsHeaders(
  { header }: PlainRequest,
  endpoint: string,
  client: PublicClient | undefined,
  page: CookiePage | undefined,
): Readonly<Record<string, string>> | OAuthFault {
  const origin = header("origin");
  if (origin === undefined || !FOR_BROWSERS.includes(endpoint)) return {};
  // Judged before anything is done: a page that may not read the answer must not use the refresh token up.
  if (client?.origins !== undefined && !client.origins.has(origin))
    return new OAuthFault("unauthorized_client", "Pages of this origin may not use the link", { status: 403 });
  if (page !== undefined) return withCookies(page);
  if (client?.origins === undefined) return ANY;
  return { ...ANY, "Access-Control-Allow-Origin": origin, Vary: "Origin" };
}
