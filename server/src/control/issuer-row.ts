import type { Issuer } from "../model/issuer.ts";
import { issuerName } from "../model/resource-name.ts";
import type { IssuerRow } from "../store/issuers.ts";

export const issuerOf = ({ project, id, spec }: IssuerRow): Issuer => ({ ...spec, name: issuerName(project, id) });

/** The issuer without its name, as its row holds it. */
export function issuerSpecOf(issuer: Issuer): IssuerRow["spec"] {
  const { name: _name, ...spec } = issuer;
  return spec;
}
