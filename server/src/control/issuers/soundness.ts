import type { Issuer as IssuerMessage } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { readStaticKeys } from "../../jwt/static-keys.ts";
import type { Principal } from "../../model/api-key.ts";
import { ConduitError, type FieldViolation, invalidFields } from "../../model/errors.ts";
import type { Issuer } from "../../model/issuer.ts";
import { idOf, linkName, secretName } from "../../model/resource-name.ts";
import { checkIssuer } from "../../policy/issuer-check.ts";
import { checkLink } from "../../policy/link-check.ts";
import type { Tx } from "../../store/database.ts";
import { keepIssuers } from "../../store/issuers.ts";
import { getLink, linksOfIssuer } from "../../store/links.ts";
import { getSecret, keepSecrets } from "../../store/secrets.ts";
import { caProblem } from "../ca-certificates.ts";
import type { Deps } from "../deps.ts";
import { hmacProblem } from "../hmac-check.ts";
import { issuerOf } from "../issuer-row.ts";
import { openValues } from "../secret-values.ts";
import { exchangeClaimViolations } from "./exchange-claims.ts";

/** Links of one issuer that are looked at when it changes. */
const LINKS_MAX = 1_000;

/** Throws `field_invalid` naming every field of an issuer that is wrong, its secret included. */
export async function requireSoundIssuer(deps: Deps, tx: Tx, project: string, issuer: Issuer): Promise<void> {
  const secrets = await secretViolations(deps, tx, project, issuer);
  const violations = [
    ...checkIssuer(issuer),
    ...staticKeyViolations(issuer),
    ...caViolations(issuer),
    ...exchangeClaimViolations(issuer),
    ...secrets,
  ];
  if (violations.length > 0) throw invalidFields(violations);
}

function staticKeyViolations({ keys, algorithms }: Issuer): FieldViolation[] {
  const read = keys.kind === "static_keys" ? readStaticKeys(keys.text, algorithms) : undefined;
  return read !== undefined && "problem" in read ? [{ field: "issuer.static_keys", description: read.problem }] : [];
}

function caViolations({ caCertificates = "" }: Issuer): FieldViolation[] {
  const problem = caCertificates === "" ? undefined : caProblem(caCertificates);
  return problem === undefined ? [] : [{ field: "issuer.ca_certificates", description: problem }];
}

/** An HMAC secret that can be guessed lets anyone sign as any user (S12). */
async function secretViolations(deps: Deps, tx: Tx, project: string, issuer: Issuer): Promise<FieldViolation[]> {
  const { keys, algorithms } = issuer;
  if (keys.kind !== "hs256") return [];
  const field = "issuer.hs256.secret";
  const id = idOf(keys.secret);
  const [kept] = keys.secret === secretName(project, id) ? await keepSecrets(tx, project, [id]) : [];
  const row = kept === undefined ? undefined : await getSecret(tx, project, id);
  if (row === undefined) return [{ field, description: "names no secret of the project" }];
  const { value, nextValue } = await openValues(deps, tx, row);
  const values = nextValue === undefined ? [value] : [value, nextValue];
  const use = { encoding: keys.encoding, algorithms };
  const problems = await Promise.all(values.map((one) => hmacProblem(one, use)));
  const problem = problems.find((one) => one !== undefined);
  return problem === undefined ? [] : [{ field, description: `its value ${problem}` }];
}

/** Throws `field_invalid` when a link that trusts the issuer would no longer be one the proxies can apply. */
export async function requireLinksStaySound(tx: Tx, project: string, issuer: Issuer): Promise<void> {
  for (const id of await linksOfIssuer(tx, project, issuer.name, LINKS_MAX)) {
    const row = await getLink(tx, project, id);
    if (row === undefined) continue;
    const link = { ...row.spec, name: linkName(project, id) };
    const others = (await keepIssuers(tx, project, link.issuers.map(idOf))).map(issuerOf);
    const issuers = [...others.filter(({ name }) => name !== issuer.name), issuer];
    const [broken] = checkLink(link, { issuers });
    if (broken === undefined) continue;
    const description = `${link.name} trusts it and would not hold any more: ${broken.field} ${broken.description}`;
    throw invalidFields([{ field: "issuer", description }]);
  }
}

/** Throws `field_invalid` for an issuer without keys: nothing could be verified. */
export function requireKeys(message: IssuerMessage): void {
  if (message.keys.case !== undefined) return;
  throw invalidFields([
    { field: "issuer.keys", description: "is required: one of hs256, jwks_url, oidc_discovery, static_keys" },
  ]);
}

/** Throws `field_invalid` for an age that would count for nothing: its author believes that tokens are bound by it. */
export function requireAgeCounts({ allowMissingExp, maxTokenAge }: IssuerMessage): void {
  if (allowMissingExp || maxTokenAge === undefined) return;
  const description = "counts only with allow_missing_exp: use max_lifetime to bound tokens that have exp";
  throw invalidFields([{ field: "issuer.max_token_age", description }]);
}

/** Throws `field_invalid`: what is built in is the project's own, made and deleted with it. */
export function requireNotBuiltIn(issuer: Issuer): void {
  if (issuer.keys.kind !== "built_in") return;
  const description = "every project has this issuer already: projects/{project}/issuers/built-in";
  throw invalidFields([{ field: "issuer.built_in", description }]);
}

/** Throws `field_invalid` when an update turns the built-in issuer into another, or another into it. */
export function requireSameNature(current: Issuer, next: Issuer): void {
  const isBuiltIn = current.keys.kind === "built_in";
  if (isBuiltIn !== (next.keys.kind === "built_in"))
    throw invalidFields([{ field: "issuer.built_in", description: "cannot be changed: create another issuer" }]);
  if (isBuiltIn && next.iss !== current.iss)
    throw invalidFields([{ field: "issuer.iss", description: "is fixed for the built-in issuer" }]);
}

/**
 * Throws `permission_missing` when someone else than an operator opens the way to private addresses, or turns an opened
 * one elsewhere: a tenant must not make the operator's network answer (SSRF).
 */
export function requirePrivateAllowed(principal: Principal, next: Issuer, current: Issuer | undefined): void {
  if (principal.role === "operator" || !next.allowPrivate) return;
  if (current?.allowPrivate === true && addressOf(current) === addressOf(next)) return;
  throw new ConduitError("permission_missing", {
    detail: "issuer.allow_private: only an operator's key may set it, or change where the keys are while it is set",
  });
}

const addressOf = ({ keys }: Issuer): string => ("url" in keys ? `${keys.kind} ${keys.url}` : "");
