import type { TrustedIssuer } from "../jwt/trust.ts";
import type { VerifyPolicy } from "../jwt/verify.ts";
import { ConduitError, invalidFields } from "../model/errors.ts";
import type { Link } from "../model/link.ts";
import type { LinkToken } from "../model/link-token.ts";
import { idOf, projectOf } from "../model/resource-name.ts";
import { type CompiledCondition, compileCondition } from "../policy/claims.ts";
import { type CompiledLimit, compileLimit } from "../policy/limit.ts";
import { checkLink } from "../policy/link-check.ts";
import { type CompiledRules, compileRules } from "../policy/rule.ts";
import { LinkTokenSet } from "./link-token-set.ts";
import { VerifiedTokens } from "./verified-tokens.ts";

/** A link with everything read that its verdicts need. A change of anything in it makes a new one. */
export interface JudgedLink {
  readonly link: Link;
  /** Its public id: first segment of its URL, realm of its challenges. */
  readonly id: string;
  /** Id of its project. */
  readonly project: string;
  readonly linkTokens: LinkTokenSet;
  readonly verifyPolicy: VerifyPolicy;
  readonly verifiedTokens: VerifiedTokens;
  readonly requiredClaims: readonly CompiledCondition[];
  /** Compiled when first asked for: `checkLink` has read them, and most links of a large installation are idle. */
  readonly rules: () => CompiledRules;
  readonly limits: readonly CompiledLimit[];
}

export interface LinkParts {
  readonly link: Link;
  /** All tokens of this link. */
  readonly linkTokens: readonly LinkToken[];
  /** The issuers `link.issuers` names, in any order. */
  readonly issuers: readonly TrustedIssuer[];
}

/** Compiles a link; throws `field_invalid` naming every wrong field, or the issuer that is not there. */
export function compileLink({ link, linkTokens, issuers }: LinkParts): JudgedLink {
  const trusted = link.issuers.map((name) => {
    const found = issuers.find(({ issuer }) => issuer.name === name);
    if (found === undefined)
      throw new ConduitError("field_invalid", { detail: "link.issuers names an issuer that is not there" });
    return found;
  });
  const violations = checkLink(link, { issuers: trusted.map(({ issuer }) => issuer) });
  if (violations.length > 0) throw invalidFields(violations);
  return {
    link,
    id: idOf(link.name),
    project: projectOf(link.name),
    linkTokens: new LinkTokenSet(linkTokens),
    verifyPolicy: verifyPolicyOf(link, trusted),
    verifiedTokens: new VerifiedTokens(),
    requiredClaims: link.requiredClaims.map((condition) => readBefore(compileCondition(condition))),
    rules: onFirstUse(() => compileRules(link.rules)),
    limits: link.limits.map((limit) => readBefore(compileLimit(limit))),
  };
}

/** `checkLink` has read these before and found nothing wrong. */
function readBefore<T>(parsed: { readonly value: T } | { readonly problem: string }): T {
  if ("value" in parsed) return parsed.value;
  throw new ConduitError("field_invalid", { detail: parsed.problem });
}

/** Our own tokens are always minted for links by name; others' for what the link lists, unless it waives that in words. */
function verifyPolicyOf(link: Link, issuers: readonly TrustedIssuer[]): VerifyPolicy {
  const own = { names: [link.name], needsAll: false };
  const { audiences, requireAllAudiences } = link;
  const listed = audiences.length > 0 ? { names: audiences, needsAll: requireAllAudiences } : undefined;
  return { issuers, audiencesOf: ({ keys }) => (keys.kind === "built_in" ? own : listed) };
}

function onFirstUse<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
