import type { FieldViolation } from "../model/errors.ts";
import type { Injection, Link } from "../model/link.ts";
import { parseClaimPath } from "./claims.ts";
import { canonicalHeader, sentHeaderProblem } from "./header-name.ts";

/** Printable ASCII: what a header value may hold without becoming two (RFC 9110 5.5). */
const PRINTABLE = /^[\x20-\x7e]*$/;
/** Claims must not be able to pass for a credential. */
const CREDENTIAL_HEADERS: readonly string[] = ["authorization", "cookie"];

/** Something a link puts into requests: which header or query parameter it writes, and what is wrong with it by itself. */
interface Sent {
  readonly field: string;
  /** `header:authorization`, `query:key`: what only one may write. */
  readonly target: string;
  readonly problem: string | undefined;
}

/** What is wrong with injections, claim headers and the forwarded token, each alone and with one another. */
export function sentHeaderViolations(link: Link): readonly FieldViolation[] {
  const sent = [
    ...link.injections.map(sentByInjection),
    ...link.claimHeaders.map(({ header }, at) => sentByClaim(header, at)),
    ...sentByForwarding(link.forwardUserToken),
  ];
  const violations = sent.flatMap(({ field, target, problem }, at) => {
    if (problem !== undefined) return [{ field, description: problem }];
    const isTaken = sent.findIndex((other) => other.target === target) < at;
    return isTaken ? [{ field, description: "writes what another part of the link writes already" }] : [];
  });
  return [...violations, ...claimPathViolations(link)];
}

function sentByInjection(injection: Injection, at: number): Sent {
  const field = `link.injections[${at}].name`;
  switch (injection.kind) {
    case "header": {
      const target = `header:${canonicalHeader(injection.name)}`;
      if (PRINTABLE.test(injection.prefix)) return { field, target, problem: sentHeaderProblem(injection.name) };
      return { field: `link.injections[${at}].prefix`, target, problem: "must be printable ASCII" };
    }
    case "query": {
      const problem = injection.name === "" ? "must name the query parameter" : undefined;
      return { field, target: `query:${injection.name}`, problem };
    }
    case "basic": {
      // RFC 7617 2: the first colon ends the user name.
      const isName = /^[^:]*$/.test(injection.name) && PRINTABLE.test(injection.name);
      const problem = isName ? undefined : "must be a user name in printable ASCII without a colon";
      return { field, target: "header:authorization", problem };
    }
    case "bearer":
      return { field: `link.injections[${at}]`, target: "header:authorization", problem: undefined };
  }
}

function sentByClaim(header: string, at: number): Sent {
  const canonical = canonicalHeader(header);
  const problem = CREDENTIAL_HEADERS.includes(canonical)
    ? "must not be a credential's header"
    : sentHeaderProblem(header);
  return { field: `link.claim_headers[${at}].header`, target: `header:${canonical}`, problem };
}

function sentByForwarding(forwardUserToken: string): readonly Sent[] {
  if (forwardUserToken === "OFF") return [];
  const header = forwardUserToken === "AUTHORIZATION" ? "authorization" : forwardUserToken;
  const target = `header:${canonicalHeader(header)}`;
  return [{ field: "link.forward_user_token", target, problem: sentHeaderProblem(header) }];
}

function claimPathViolations({ claimHeaders }: Link): readonly FieldViolation[] {
  return claimHeaders.flatMap(({ claim, fallbackClaims }, at) => {
    const fields = fallbackClaims.map((path, index) => [`fallback_claims[${index}]`, path] as const);
    return [["claim", claim] as const, ...fields].flatMap(([field, path]) => {
      const parsed = parseClaimPath(path);
      return "problem" in parsed ? [{ field: `link.claim_headers[${at}].${field}`, description: parsed.problem }] : [];
    });
  });
}
