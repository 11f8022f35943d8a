import type { Principal } from "../../model/api-key.ts";
import { linkName } from "../../model/resource-name.ts";
import { linkOrigins } from "../../policy/link-origins.ts";
import type { Reader } from "../../store/database.ts";
import { allLinkTokens } from "../../store/link-tokens.ts";
import { getLink } from "../../store/links.ts";
import type { Form } from "./form.ts";

/** An app without a secret: a link, whose id is the `client_id`. It may refresh and revoke what it holds, no more. */
export interface PublicClient {
  /** Of the link. */
  readonly id: string;
  /** Resource name of the link. */
  readonly link: string;
  /** Whose pages may read the answers; undefined = anybody's. */
  readonly origins: ReadonlySet<string> | undefined;
  /** Name of the cookie that the link takes a user's token from; undefined = it takes none from cookies. */
  readonly accessCookie: string | undefined;
}

/** The link that a request names as its client; undefined = it is none of the project. */
export async function readPublicClient(reader: Reader, project: string, form: Form): Promise<PublicClient | undefined> {
  const id = form.get("client_id") ?? "";
  const row = await getLink(reader, project, id);
  if (row === undefined) return undefined;
  const { userTokenCookie: accessCookie } = row.spec;
  const origins = linkOrigins(row.spec, await allLinkTokens(reader, id));
  return { id, link: linkName(project, id), origins, accessCookie };
}

/** As whom it calls the API, once it has shown a token that it holds: the trail names the link. */
export const principalOfPublic = ({ link }: PublicClient, project: string): Principal => ({
  apiKey: link,
  role: "minter",
  project,
});
