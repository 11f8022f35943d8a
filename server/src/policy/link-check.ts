import type { FieldViolation } from "../model/errors.ts";
import { type Issuer, needsAudience } from "../model/issuer.ts";
import type { Link, Rule } from "../model/link.ts";
import { compileCondition } from "./claims.ts";
import { compileLimit } from "./limit.ts";
import { namesClaim, parsePathTemplate } from "./path-template.ts";
import { compileRewrite } from "./rewrite.ts";
import { sentHeaderViolations } from "./sent-header-check.ts";
import { baseUrlProblem, originProblem } from "./url-check.ts";

/** What a link is checked against. */
export interface LinkCheckContext {
  /** The issuers it names; one that is not here is reported. */
  readonly issuers: readonly Issuer[];
}

type Check = (link: Link, context: LinkCheckContext) => readonly (FieldViolation | undefined)[];

/**
 * Everything about a link that its message's own constraints do not say; empty = nothing is wrong. Used when a link is
 * written, and again by the proxy when it compiles one. Not checked: whether secrets exist, who may allow private addresses.
 */
export function checkLink(link: Link, context: LinkCheckContext): readonly FieldViolation[] {
  return CHECKS.flatMap((check) => check(link, context)).filter((violation) => violation !== undefined);
}

const CHECKS: readonly Check[] = [
  ({ upstream }) => [violation("upstream.base_url", baseUrlProblem(upstream.baseUrl))],
  modeViolations,
  issuerViolations,
  audienceViolations,
  tokenPlaceViolations,
  ({ requiredClaims }) => requiredClaims.map((condition, at) => claimViolation(`required_claims[${at}]`, condition)),
  ruleViolations,
  nameViolations,
  ambiguityViolations,
  sentHeaderViolations,
  limitViolations,
  ({ maxConfigAgeMs }) => [violation("max_config_age", configAgeProblem(maxConfigAgeMs))],
  corsViolations,
  ({ allowedRedirectOrigins }) =>
    allowedRedirectOrigins.map((origin, at) => violation(`allowed_redirect_origins[${at}]`, originProblem(origin))),
];

/** Proxies hear that they are current every 10 s: with less, one late sign of life would refuse everyone. */
const CONFIG_AGE_MIN_MS = 30_000;

const configAgeProblem = (ageMs: number | undefined): string | undefined =>
  ageMs === undefined || (ageMs >= CONFIG_AGE_MIN_MS && ageMs % 1000 === 0)
    ? undefined
    : "must be whole seconds, at least 30";

/** A violation of `link.<field>`; undefined when there is no problem. */
function violation(field: string, problem: string | undefined): FieldViolation | undefined {
  return problem === undefined ? undefined : { field: `link.${field}`, description: problem };
}

/** A link that demands neither credential would lend its hidden key to everyone. */
function modeViolations({ linkTokenMode, userTokenMode, issuers }: Link): readonly (FieldViolation | undefined)[] {
  const demandsOne = linkTokenMode === "REQUIRED" || userTokenMode === "REQUIRED";
  const wantsIssuer = userTokenMode !== "OFF" && issuers.length === 0;
  return [
    violation("link_token_mode", demandsOne ? undefined : "must be REQUIRED when user_token_mode is not"),
    violation("user_token_mode", wantsIssuer ? "must be OFF without issuers: nothing could verify a token" : undefined),
  ];
}

function issuerViolations(
  { issuers: names }: Link,
  { issuers }: LinkCheckContext,
): readonly (FieldViolation | undefined)[] {
  const found = names.map((name) => issuers.find((issuer) => issuer.name === name));
  const anyIss = found.filter((issuer) => issuer?.iss === "");
  return [
    ...found.map((issuer, at) =>
      violation(`issuers[${at}]`, issuer === undefined ? "names no issuer of the project" : undefined),
    ),
    violation("issuers", anyIss.length > 1 ? "must not have more than one issuer with an empty iss" : undefined),
  ];
}

/** A public key proves who signed, not for whom: without `aud` a token of any other app of that issuer would do. */
function audienceViolations(link: Link, { issuers }: LinkCheckContext): readonly (FieldViolation | undefined)[] {
  const needsOne = issuers.some(({ name, keys }) => needsAudience(keys) && link.issuers.includes(name));
  const hasNone = link.audiences.length === 0;
  const unchecked = needsOne && hasNone && !link.anyAudience;
  const contradicts = link.anyAudience && !hasNone;
  return [
    violation(
      "audiences",
      unchecked ? "are required for issuers with public keys, unless any_audience is set" : undefined,
    ),
    violation("any_audience", contradicts ? "must not be set beside audiences" : undefined),
    violation("require_all_audiences", link.requireAllAudiences && hasNone ? "needs audiences" : undefined),
  ];
}

/** A token that is read from a place where the proxy puts something else would be the proxy's own. */
function tokenPlaceViolations({ userTokenQuery, injections }: Link): readonly (FieldViolation | undefined)[] {
  const isTaken = injections.some((it) => it.kind === "query" && it.name === userTokenQuery);
  return [violation("user_token_query", isTaken ? "is a parameter that an injection writes" : undefined)];
}

function claimViolation(field: string, condition: Link["requiredClaims"][number]): FieldViolation | undefined {
  const compiled = compileCondition(condition);
  return violation(`${field}.path`, "problem" in compiled ? compiled.problem : undefined);
}

const NEVER_FORWARDED = ["TRACE", "CONNECT"];

function ruleViolations({ rules, allowAmbiguousPaths }: Link): readonly (FieldViolation | undefined)[] {
  return rules.flatMap((rule, at) => {
    const template = parsePathTemplate(rule.path);
    const neverMatches = rule.path.includes(";") && !allowAmbiguousPaths && !rule.path.includes("{");
    const method = rule.methods.find((name) => NEVER_FORWARDED.includes(name));
    return [
      violation(`rules[${at}].path`, "problem" in template ? template.problem : undefined),
      violation(`rules[${at}].path`, neverMatches ? "must not hold `;` without allow_ambiguous_paths" : undefined),
      ...rewriteViolations(rule, at, allowAmbiguousPaths),
      violation(`rules[${at}].methods`, method === undefined ? undefined : `${method} is never forwarded`),
      ...rule.claims.map((condition, claimAt) => claimViolation(`rules[${at}].claims[${claimAt}]`, condition)),
    ];
  });
}

function rewriteViolations(
  { rewrite, path, effect }: Rule,
  at: number,
  allowAmbiguousPaths: boolean,
): readonly (FieldViolation | undefined)[] {
  if (rewrite === undefined) return [];
  const field = `rules[${at}].rewrite`;
  if (effect === "DENY") return [violation(field, "must not be set on a deny rule: it forwards nothing")];
  // Which segments are replaced depends on where an upstream sees them end.
  if (allowAmbiguousPaths) return [violation(field, "must not be set on a link with allow_ambiguous_paths")];
  const template = parsePathTemplate(path);
  const compiled = "value" in template ? compileRewrite(rewrite, template.value) : undefined;
  const isFaulty = compiled !== undefined && "problem" in compiled;
  return isFaulty ? [violation(`${field}.${compiled.field}`, compiled.problem)] : [];
}

/** Each name costs a look at every request that comes by: a tenant must not slow the others' requests down. */
function nameViolations({ rules }: Link): readonly (FieldViolation | undefined)[] {
  const inPaths = rules.flatMap(({ path }) => claimNamesOf(path));
  const inConditions = rules.flatMap(({ claims }) => claims.map(({ path }) => path));
  const inQueries = rules.flatMap(({ query }) => Object.keys(query));
  const isTooMany = (names: readonly string[], max: number): boolean => new Set(names).size > max;
  const perPath = rules.findIndex(({ path }) => claimNamesOf(path).length > CLAIMS_IN_PATH_MAX);
  return [
    violation(
      `rules[${perPath}].path`,
      perPath < 0 ? undefined : `must not name more than ${CLAIMS_IN_PATH_MAX} claims`,
    ),
    violation(
      "rules",
      isTooMany(inPaths, NAMES_IN_PATHS_MAX) ? tooMany(NAMES_IN_PATHS_MAX, "claims in paths") : undefined,
    ),
    violation("rules", isTooMany(inConditions, NAMES_MAX) ? tooMany(NAMES_MAX, "claims in conditions") : undefined),
    violation("rules", isTooMany(inQueries, NAMES_MAX) ? tooMany(NAMES_MAX, "query parameters") : undefined),
  ];
}

const CLAIMS_IN_PATH_MAX = 8;
const NAMES_IN_PATHS_MAX = 32;
const NAMES_MAX = 100;

const tooMany = (max: number, what: string): string => `must not name more than ${max} different ${what}`;

function claimNamesOf(path: string): readonly string[] {
  if (!path.includes("{")) return [];
  const template = parsePathTemplate(path);
  if ("problem" in template) return [];
  return template.value.segments.flatMap((segment) => (segment.kind === "claim" ? [segment.ref.name] : []));
}

/** Where an upstream may read a path otherwise, "only your own" and "not this" cannot be promised. */
function ambiguityViolations({ rules, allowAmbiguousPaths }: Link): readonly (FieldViolation | undefined)[] {
  if (!allowAmbiguousPaths) return [];
  const isStrict = rules.some(({ effect, path }) => {
    const template = parsePathTemplate(path);
    return effect === "DENY" || ("value" in template && namesClaim(template.value));
  });
  const problem = "must not be set on a link with a deny rule or a claim in a path";
  return [violation("allow_ambiguous_paths", isStrict ? problem : undefined)];
}

function limitViolations({ limits }: Link): readonly (FieldViolation | undefined)[] {
  return limits.flatMap((limit, at) => {
    const compiled = compileLimit(limit);
    const isRepeated = limits.findIndex(({ name }) => name === limit.name) < at;
    return [
      violation(`limits[${at}].key`, "problem" in compiled ? compiled.problem : undefined),
      violation(`limits[${at}].name`, isRepeated ? "must be unique within the link" : undefined),
      violation(`limits[${at}].requests`, limit.requests < 1 ? "must be at least 1" : undefined),
      violation(`limits[${at}].window`, limit.windowMs < 1000 ? "must be at least 1 s" : undefined),
      violation(`limits[${at}].burst`, limit.burst < 1 ? "must be at least 1" : undefined),
    ];
  });
}

function corsViolations({ cors }: Link): readonly (FieldViolation | undefined)[] {
  const isOpen = cors.credentials && cors.origins.length === 0;
  return [
    ...cors.origins.map((origin, at) => violation(`cors.origins[${at}]`, originProblem(origin))),
    violation("cors.credentials", isOpen ? "needs a list of origins" : undefined),
  ];
}
