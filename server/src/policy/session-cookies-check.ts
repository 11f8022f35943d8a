import { isLoopbackHost } from "../model/address.ts";
import type { FieldViolation } from "../model/errors.ts";
import type { SessionCookies } from "../model/project.ts";
import { originProblem } from "./url-check.ts";

const HOST = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/;

/**
 * What is wrong with a project's cookies; empty = nothing.
 * @param issuer URL of the project's issuer: who sets the cookies
 */
export function checkSessionCookies({ origins, domain }: SessionCookies, issuer: string): readonly FieldViolation[] {
  const problems = [
    ...origins.map((origin, at) => [`origins[${at}]`, originProblem(origin) ?? plainHttpProblem(origin)] as const),
    ["domain", domain === "" ? undefined : domainProblem(domain, new URL(issuer).hostname)] as const,
  ];
  return problems.flatMap(([field, description]) =>
    description === undefined ? [] : [{ field: `project.session_cookies.${field}`, description }],
  );
}

/** Whoever is on the way puts a script into a page that comes by plain http, and uses its session. */
function plainHttpProblem(origin: string): string | undefined {
  const isPlain = origin.startsWith("http:") && !isLoopbackHost(new URL(origin).hostname);
  return isPlain ? "must be https; plain http is only for loopback hosts" : undefined;
}

/** RFC 6265 5.3: of other domains browsers take no cookie, without a word. */
function domainProblem(domain: string, host: string): string | undefined {
  const isName = HOST.test(domain) && !/^[\d.]+$/.test(domain);
  if (!isName) return "must be a host name in lower case with a dot, as example.com";
  const isOver = host === domain || host.endsWith(`.${domain}`);
  return isOver ? undefined : "must be the host of the project's issuer URL, or end it";
}
