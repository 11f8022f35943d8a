import { compileLink, type JudgedLink } from "../judge/judged-link.ts";
import { type TrustedIssuer, trustIssuer } from "../jwt/trust.ts";
import type { Issuer } from "../model/issuer.ts";
import { idOf, linkName } from "../model/resource-name.ts";
import type { Reader } from "../store/database.ts";
import { getIssuer } from "../store/issuers.ts";
import { allLinkTokens } from "../store/link-tokens.ts";
import { getLink } from "../store/links.ts";
import { getSecret } from "../store/secrets.ts";
import type { Deps } from "./deps.ts";
import { issuerOf } from "./issuer-row.ts";
import { linkTokenOf } from "./link-token-row.ts";
import { found } from "./resource-path.ts";
import { openValues } from "./secret-values.ts";
import { publishedJwks } from "./signing-keys.ts";

/**
 * A link as a proxy compiles it, from the database: as it is now, which the proxies are about to be too.
 * @throws ConduitError `resource_not_found`; `field_invalid` when the proxies cannot compile it either
 */
export async function compileStoredLink(deps: Deps, project: string, id: string): Promise<JudgedLink> {
  const { link, linkTokens, parts } = await deps.store.read(async (reader) => {
    const row = found(await getLink(reader, project, id));
    const tokens = await allLinkTokens(reader, id);
    const issuers: IssuerWithKeys[] = [];
    for (const name of row.spec.issuers) issuers.push(...(await readIssuer(deps, reader, project, idOf(name))));
    return {
      link: { ...row.spec, name: linkName(project, id) },
      linkTokens: tokens.map((token) => linkTokenOf(project, token)),
      parts: issuers,
    };
  });
  const { jwksSources } = deps;
  const issuers: TrustedIssuer[] = parts.map((it) => trustIssuer({ ...it, jwksSources }));
  return compileLink({ link, linkTokens, issuers });
}

/** An issuer as the proxies compile it; undefined = there is none. @throws ConduitError `field_invalid` as above */
export async function compileStoredIssuer(deps: Deps, project: string, id: string): Promise<TrustedIssuer | undefined> {
  const [parts] = await deps.store.read((reader) => readIssuer(deps, reader, project, id));
  return parts && trustIssuer({ ...parts, jwksSources: deps.jwksSources });
}

type IssuerWithKeys = Omit<Parameters<typeof trustIssuer>[0], "jwksSources">;

/** The issuer with what verifies its tokens; none if there is no such issuer. */
async function readIssuer(deps: Deps, reader: Reader, project: string, id: string): Promise<IssuerWithKeys[]> {
  const row = await getIssuer(reader, project, id);
  if (row === undefined) return [];
  const issuer = issuerOf(row);
  if (issuer.keys.kind === "built_in") {
    return [{ issuer, jwks: await publishedJwks(reader, project, deps.clock.now()) }];
  }
  const secret = await readSecret(deps, reader, project, issuer);
  return [{ issuer, ...(secret && { secret }) }];
}

async function readSecret(deps: Deps, reader: Reader, project: string, { keys }: Issuer) {
  if (keys.kind !== "hs256") return undefined;
  const row = await getSecret(reader, project, idOf(keys.secret));
  if (row === undefined) return undefined;
  const { value, nextValue } = await openValues(deps, reader, row);
  return { current: value, ...(nextValue && { next: nextValue }) };
}
