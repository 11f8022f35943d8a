import type { Link } from "../model/link.ts";
import type { LinkToken } from "../model/link-token.ts";
import { linkOrigins } from "../policy/link-origins.ts";

const ALLOWED_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const ALLOWED_HEADERS = [
  "authorization",
  "content-type",
  "x-access-token",
  "x-debug-jwt",
  "idempotency-key",
  "traceparent",
  "dpop",
];
const EXPOSED = "X-Conduit-Error, X-Request-ID, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate";
const MAX_AGE_SECONDS = "600";
const PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/** What a link says to pages of other origins (contract.md 6), ready to be sent. */
export interface CorsPlan {
  /** Undefined = any. */
  readonly origins: ReadonlySet<string> | undefined;
  readonly hasCredentials: boolean;
  /** Header lines of a preflight's answer that do not depend on the origin. */
  readonly preflightLines: readonly string[];
}

const preflightLines = (methods: readonly string[], headers: readonly string[]): readonly string[] => [
  "Access-Control-Allow-Methods",
  methods.join(", "),
  "Access-Control-Allow-Headers",
  headers.join(", "),
  "Access-Control-Max-Age",
  MAX_AGE_SECONDS,
  "Vary",
  PREFLIGHT_VARY,
];

/** For answers without a link: unknown links must look like open ones, or a page could not read the refusal. */
export const ANY_ORIGIN: CorsPlan = {
  origins: undefined,
  hasCredentials: false,
  preflightLines: preflightLines(ALLOWED_METHODS, ALLOWED_HEADERS),
};

/** Reads a link's rules and those of its tokens. */
export function compileCors(link: Link, tokens: readonly LinkToken[]): CorsPlan {
  const origins = linkOrigins(link, tokens);
  const methods = new Set([...ALLOWED_METHODS, ...link.rules.flatMap((rule) => rule.methods)]);
  const headers = new Set([...ALLOWED_HEADERS, ...link.cors.headers.map((name) => name.toLowerCase())]);
  return {
    origins,
    hasCredentials: link.cors.credentials && origins !== undefined,
    preflightLines: preflightLines([...methods], [...headers]),
  };
}

/** A place in an event stream: an SDK in a page resumes by fetch what `EventSource` resumes by itself. */
const RESUMES_STREAM = /(?:^|,)[ \t]*last-event-id[ \t]*(?:,|$)/i;

/** The lines for a preflight that asks for these headers: `Last-Event-ID` is allowed to who asks for it, on every link. */
export function preflightLinesFor(
  { preflightLines: lines }: CorsPlan,
  requestedHeaders: readonly string[],
): readonly string[] {
  if (!requestedHeaders.some((line) => RESUMES_STREAM.test(line))) return lines;
  return lines.map((line, index) =>
    lines[index - 1] === "Access-Control-Allow-Headers" ? `${line}, last-event-id` : line,
  );
}

/** Header lines of every answer to a request from `origin` (undefined = it sent none). */
export function corsLines(plan: CorsPlan, origin: string | undefined): readonly string[] {
  if (plan.origins === undefined) return ANY_ORIGIN_LINES;
  if (origin === undefined || !plan.origins.has(origin)) return OTHER_ORIGIN_LINES;
  const lines = ["Access-Control-Allow-Origin", origin, ...OTHER_ORIGIN_LINES];
  return plan.hasCredentials ? ["Access-Control-Allow-Credentials", "true", ...lines] : lines;
}

const OTHER_ORIGIN_LINES: readonly string[] = ["Access-Control-Expose-Headers", EXPOSED];
const ANY_ORIGIN_LINES: readonly string[] = ["Access-Control-Allow-Origin", "*", ...OTHER_ORIGIN_LINES];

/** Whether a request is a preflight (Fetch standard, CORS-preflight request). */
export const isPreflight = (method: string, origins: readonly string[], requestedMethods: readonly string[]): boolean =>
  method === "OPTIONS" && origins.length > 0 && requestedMethods.length > 0;
