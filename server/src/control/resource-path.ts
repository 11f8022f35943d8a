import { ConduitError, invalidFields } from "../model/errors.ts";
import { type NamedNoun, parseName } from "../model/resource-name.ts";

/** How names look, for error texts. */
const FORMS: Readonly<Record<NamedNoun, string>> = {
  project: "projects/{project}",
  link: "projects/{project}/links/{link}",
  linkRevision: "projects/{project}/links/{link}/revisions/{number}",
  linkToken: "projects/{project}/links/{link}/tokens/{token}",
  secret: "projects/{project}/secrets/{secret}",
  issuer: "projects/{project}/issuers/{issuer}",
  apiKey: "projects/{project}/apiKeys/{key}, or apiKeys/{key} for an operator's",
  session: "projects/{project}/sessions/{session}",
  revocation: "projects/{project}/revocations/{revocation}",
  signingKey: "projects/{project}/signingKeys/{kid}",
  auditEvent: "projects/{project}/auditEvents/{id}, or auditEvents/{id} for the installation's",
  proxy: "proxies/{proxy}",
};

/** Nouns with two ids in their names. */
type NounInProject = "link" | "secret" | "issuer" | "apiKey" | "revocation" | "signingKey" | "auditEvent" | "session";

/** Id in a project's name. @throws ConduitError `field_invalid` naming `field` */
export function readProjectName(name: string, field: string): string {
  const [project = ""] = readName("project", name, field);
  return project;
}

/** Ids in a name. The project is "" for an operator's key. @throws ConduitError `field_invalid` naming `field` */
export function readNameInProject(noun: NounInProject, name: string, field: string): { project: string; id: string } {
  const [project = "", id = ""] = readName(noun, name, field);
  return { project, id };
}

/** Ids in a link token's name. @throws ConduitError `field_invalid` naming `field` */
export function readLinkTokenName(name: string, field: string): { project: string; link: string; id: string } {
  const [project = "", link = "", id = ""] = readName("linkToken", name, field);
  return { project, link, id };
}

/** Ids and number in a revision's name. @throws ConduitError `field_invalid` naming `field` */
export function readRevisionName(name: string, field: string): { project: string; link: string; number: number } {
  const [project = "", link = "", number = ""] = readName("linkRevision", name, field);
  return { project, link, number: Number(number) };
}

/** Id in a proxy's name. @throws ConduitError `field_invalid` naming `field` */
export function readProxyName(name: string, field: string): string {
  const [id = ""] = readName("proxy", name, field);
  return id;
}

function readName(noun: NamedNoun, name: string, field: string): readonly string[] {
  const ids = parseName(noun, name);
  if (ids === undefined) throw invalidFields([{ field, description: `must be ${FORMS[noun]}` }]);
  return ids;
}

/** The row that was looked up. @throws ConduitError `resource_not_found`, the same as for what is another project's */
export function found<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new ConduitError("resource_not_found");
  return row;
}
