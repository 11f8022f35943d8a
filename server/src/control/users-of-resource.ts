import { ConduitError } from "../model/errors.ts";
import { issuerName, linkName } from "../model/resource-name.ts";
import type { Reader } from "../store/database.ts";
import { issuersOfSecret } from "../store/issuers.ts";
import { linksOfIssuer, linksOfSecret } from "../store/links.ts";

/** As many users of a resource as an error names. */
const NAMED_MAX = 10;

/** Throws `resource_in_use` naming the links that trust the issuer. */
export async function requireUnusedIssuer(reader: Reader, project: string, issuer: string): Promise<void> {
  const links = await linksOfIssuer(reader, project, issuer, NAMED_MAX);
  refuse(links.map((id) => linkName(project, id)));
}

/** Throws `resource_in_use` naming the links and issuers that use the secret. */
export async function requireUnusedSecret(reader: Reader, project: string, secret: string): Promise<void> {
  const links = await linksOfSecret(reader, project, secret, NAMED_MAX);
  const issuers = await issuersOfSecret(reader, project, secret, NAMED_MAX);
  refuse([...links.map((id) => linkName(project, id)), ...issuers.map((id) => issuerName(project, id))]);
}

function refuse(users: readonly string[]): void {
  if (users.length === 0) return;
  const names = users.slice(0, NAMED_MAX).join(", ");
  throw new ConduitError("resource_in_use", {
    detail: `Still used by ${names}: change or delete them first`,
    metadata: { used_by: names },
  });
}
