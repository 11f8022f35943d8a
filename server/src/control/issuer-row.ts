import { DEFAULT_ALGORITHMS, type Issuer } from "../model/issuer.ts";
import { issuerName } from "../model/resource-name.ts";
import type { IssuerRow } from "../store/issuers.ts";

/** The built-in one's algorithms are ours: each of its keys is published for exactly one of them. */
export function issuerOf({ project, id, spec }: IssuerRow): Issuer {
  const algorithms = spec.keys.kind === "built_in" ? DEFAULT_ALGORITHMS.built_in : spec.algorithms;
  return { ...spec, algorithms, name: issuerName(project, id) };
}

/** The issuer without its name, as its row holds it. */
export function issuerSpecOf(issuer: Issuer): IssuerRow["spec"] {
  const { name: _name, ...spec } = issuer;
  return spec;
}
