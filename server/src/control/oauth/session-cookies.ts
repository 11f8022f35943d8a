import type { PlainRequest } from "../../model/plain-http.ts";
import type { CookieSameSite } from "../../model/project.ts";
import { COOKIE_MAX_BYTES } from "../../model/token-lifetime.ts";
import type { CookieSession } from "./cookie-page.ts";
import { OAuthFault } from "./fault.ts";

/** Tokens to be kept by the browser, each as long as it lives: whole seconds. */
export interface KeptTokens {
  readonly accessToken: string;
  readonly accessSeconds: number;
  readonly refreshToken: string;
  readonly refreshSeconds: number;
}

/** One per app, so that two apps of a project at one browser have their own sessions. */
const refreshName = (link: string): string => `__Secure-conduit-refresh-${link}`;

/** The refresh token that the browser has kept for the app. */
export function readRefreshCookie(request: PlainRequest, session: CookieSession): string | undefined {
  // Two of one name: some other host of the domain has set one to sign its victim in as somebody else (cookie tossing).
  const [value, ...others] = refreshCookies(request, session);
  return others.length === 0 ? value : undefined;
}

/** Every refresh token that the browser has for the app: who signs out wants to be rid of a tossed one's session too. */
export function refreshCookies({ header }: PlainRequest, { client }: CookieSession): readonly string[] {
  const start = `${refreshName(client.id)}=`;
  const pairs = (header("cookie") ?? "").split(";").map((pair) => pair.trim());
  return pairs.filter((pair) => pair.startsWith(start) && pair !== start).map((pair) => pair.slice(start.length));
}

/** `Set-Cookie` lines; a fault = the access token does not fit, and the line of the refresh token is with it. */
export function keptCookies(session: CookieSession, tokens: KeptTokens): readonly string[] | OAuthFault {
  const refresh = refreshLine(session, tokens.refreshToken, tokens.refreshSeconds);
  const { accessCookie } = session.client;
  if (accessCookie === undefined) return [refresh];
  const bytes = `${accessCookie}=${tokens.accessToken}`.length;
  if (bytes <= COOKIE_MAX_BYTES) return [refresh, accessLine(session, tokens.accessToken, tokens.accessSeconds)];
  const description = `The access token's cookie would be ${bytes} bytes long and may be ${COOKIE_MAX_BYTES}`;
  return new OAuthFault("invalid_request", description, { cookies: [refresh] });
}

/** Lines that take both cookies from the browser. */
export const clearedCookies = (session: CookieSession): readonly string[] => [
  refreshLine(session, "", 0),
  ...(session.client.accessCookie === undefined ? [] : [accessLine(session, "", 0)]),
];

/** Sent to the endpoints of its project alone: not to the proxies, should they have the same host. */
const refreshLine = ({ page, client }: CookieSession, value: string, seconds: number): string => {
  const path = `${new URL(page.issuer).pathname}/oauth`;
  return cookieLine(refreshName(client.id), value, { path, domain: "", seconds, sameSite: page.settings.sameSite });
};

/** Sent to the link alone, under the name that it takes the user's token from. */
function accessLine({ page, client }: CookieSession, value: string, seconds: number): string {
  const { sameSite, domain } = page.settings;
  const { accessCookie = "", id } = client;
  // RFC 6265bis 4.1.3.2: with this prefix, in any case, browsers take nothing else.
  const place = /^__host-/i.test(accessCookie) ? { path: "/", domain: "" } : { path: `/${id}`, domain };
  return cookieLine(accessCookie, value, { ...place, seconds, sameSite });
}

interface Attributes {
  readonly path: string;
  /** "" = the host alone. */
  readonly domain: string;
  readonly seconds: number;
  readonly sameSite: CookieSameSite;
}

const SAME_SITES: Readonly<Record<CookieSameSite, string>> = { STRICT: "Strict", LAX: "Lax", NONE: "None" };

/** No script may read it (theft by injected scripts), and it never travels in clear. */
function cookieLine(name: string, value: string, { path, domain, seconds, sameSite }: Attributes): string {
  const at = domain === "" ? "" : `; Domain=${domain}`;
  const site = SAME_SITES[sameSite];
  return `${name}=${value}; Path=${path}${at}; Max-Age=${seconds}; Secure; HttpOnly; SameSite=${site}`;
}
