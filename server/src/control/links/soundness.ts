import type { Principal } from "../../model/api-key.ts";
import { ConduitError, type FieldViolation, invalidFields } from "../../model/errors.ts";
import type { Link } from "../../model/link.ts";
import { idOf, secretName } from "../../model/resource-name.ts";
import { checkLink } from "../../policy/link-check.ts";
import type { Tx } from "../../store/database.ts";
import { keepIssuers } from "../../store/issuers.ts";
import { keepSecrets } from "../../store/secrets.ts";
import { caProblem } from "../ca-certificates.ts";
import { issuerOf } from "../issuer-row.ts";
import { tokenClaimViolations } from "./token-claims.ts";

/**
 * Everything that must hold of a link before it is written: its references exist in its own project and stay until the
 * transaction ends, and the link is one the proxies can apply. Throws `field_invalid` naming every field at fault.
 */
export async function requireSound(tx: Tx, project: string, link: Link): Promise<void> {
  const issuers = (await keepIssuers(tx, project, ids(link.issuers))).map(issuerOf);
  const secrets = await keepSecrets(tx, project, ids(link.injections.map(({ secret }) => secret)));
  const known = new Set(secrets.map((id) => secretName(project, id)));
  const violations: FieldViolation[] = [
    ...link.injections.flatMap(({ secret }, index) =>
      known.has(secret)
        ? []
        : [{ field: `link.injections[${index}].secret`, description: "names no secret of the project" }],
    ),
    ...checkLink(link, { issuers }),
    ...caViolations(link),
    ...tokenClaimViolations(link),
  ];
  if (violations.length > 0) throw invalidFields(violations);
}

/** A new link says who may call what: one without rules would be a mistake, since it denies everything. */
export function requireRules(link: Link): void {
  if (link.rules.length > 0) return;
  const description = 'is required: say who may call what, as in {path: "/api/users/{jwt.sub}/**"}';
  throw invalidFields([{ field: "link.rules", description }]);
}

/**
 * Throws `permission_missing` when someone else than an operator opens the way to private addresses, or turns a way that
 * an operator has opened to another address: a tenant must not reach the operator's network through the proxy.
 */
export function requirePrivateAllowed(principal: Principal, next: Link, current: Link | undefined): void {
  if (principal.role === "operator" || !next.upstream.allowPrivate) return;
  if (current?.upstream.allowPrivate === true && current.upstream.baseUrl === next.upstream.baseUrl) return;
  throw new ConduitError("permission_missing", {
    detail: "link.upstream.allow_private: only an operator's key may set it, or change base_url while it is set",
  });
}

const ids = (names: readonly string[]): string[] => names.map(idOf);

function caViolations({ upstream: { caCertificates = "" } }: Link): FieldViolation[] {
  const problem = caCertificates === "" ? undefined : caProblem(caCertificates);
  return problem === undefined ? [] : [{ field: "link.upstream.ca_certificates", description: problem }];
}
