import { malformed } from "../jwt/token-fault.ts";
import { takeParameter } from "../policy/query-parameter.ts";
import type { JudgedRequest, Routed, WithApp } from "./judged-request.ts";
import { Refusal, refuseToken } from "./refusal.ts";

/** The user token of a request, and the query without it. */
export interface PresentedToken {
  /** Undefined = there is none. */
  readonly text: string | undefined;
  readonly query: string;
}

/**
 * The one user token of a request, wherever the link lets it stand: `Authorization`, a named cookie, a named query
 * parameter (contract.md 2). Refuses with `token_ambiguous`, `csrf_rejected`, `token_malformed`.
 */
export function readPresentedToken(routed: Routed & WithApp): PresentedToken | Refusal {
  const { link, request } = routed;
  const { userTokenCookie, userTokenQuery } = link.link;
  const bearer = readBearer(request.authorizations);
  if (bearer instanceof Refusal) return bearer;
  if (userTokenCookie === undefined && userTokenQuery === undefined) return { text: bearer, query: request.query };
  const parameter = userTokenQuery === undefined ? undefined : takeParameter(request.query, userTokenQuery);
  const sent = [bearer ?? "", ...(parameter?.values ?? [])].filter((text) => text !== "");
  const inCookies = userTokenCookie === undefined ? [] : cookieValues(request.cookies, userTokenCookie);
  const all = new Set([...sent, ...inCookies]);
  // Two tokens: whichever is judged, the upstream or a log might read the other.
  if (all.size > 1 || parameter?.isAmbiguous === true) return new Refusal("token_ambiguous");
  // A browser sends cookies to us whoever's page asks for it; what it is made to send it has not decided.
  if (sent.length === 0 && inCookies.length > 0 && !isFromTrustedPage(routed)) return new Refusal("csrf_rejected");
  const [text] = all;
  return { text, query: parameter?.rest ?? request.query };
}

/** The query of a request as rules and upstream see it, whether or not its token is looked at. */
export function queryWithoutToken({ link, request }: Routed): string {
  const { userTokenQuery } = link.link;
  return userTokenQuery === undefined ? request.query : takeParameter(request.query, userTokenQuery).rest;
}

/** RFC 9110 11.1: the scheme's case says nothing; RFC 6750 2.1. */
const BEARER = /^bearer[ \t]+(\S+)$/i;

/** The one token in the `Authorization` lines; undefined = there are none. */
function readBearer(values: readonly string[]): string | undefined | Refusal {
  const [first] = values;
  if (first === undefined) return undefined;
  const text = bearerText(first);
  if (values.length > 1 && values.some((value) => bearerText(value) !== text)) return new Refusal("token_ambiguous");
  return text ?? refuseToken(malformed("Send the user's token as Authorization: Bearer <JWT>"));
}

/** As nearly every client writes it, without a regular expression; else by the grammar. */
function bearerText(value: string): string | undefined {
  if (value.startsWith("Bearer ") && !value.includes(" ", 7) && !value.includes("\t"))
    return value.slice(7) || undefined;
  return BEARER.exec(value.trim())?.[1];
}

/** Values of a cookie in `Cookie` lines (RFC 6265 5.4), quotes taken off; empty ones, as of a cleared cookie, left out. */
function cookieValues(lines: readonly string[], name: string): readonly string[] {
  const pairs = lines.flatMap((line) => line.split(";")).map((pair) => pair.trim());
  const values = pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1).trim());
  return values.map((value) => /^"(.*)"$/.exec(value)?.[1] ?? value).filter((value) => value !== "");
}

/** Whether the page that asks may use the user's cookie: it has a link token, is of the same site, or is listed. */
function isFromTrustedPage({ link, request, app }: Routed & WithApp): boolean {
  if (app.linkToken !== undefined || isSameSite(request)) return true;
  const { origin } = request;
  return origin !== undefined && (link.link.cors.origins.includes(origin) || link.linkTokens.listsOrigin(origin));
}

/** Fetch Metadata: only browsers write it, and no page can (`Sec-`). */
const isSameSite = ({ fetchSites }: JudgedRequest): boolean =>
  fetchSites.length === 1 && (fetchSites[0] === "same-origin" || fetchSites[0] === "same-site");
