import { TokenFault } from "../jwt/token-fault.ts";
import { trustIssuer } from "../jwt/trust.ts";
import { type VerifiedToken, verifyToken } from "../jwt/verify.ts";
import { BUILT_IN_ISSUER_ID } from "../model/project.ts";
import { getIssuer } from "../store/issuers.ts";
import type { Deps } from "./deps.ts";
import { issuerOf } from "./issuer-row.ts";
import { found } from "./resource-path.ts";
import { publishedJwks } from "./signing-keys.ts";

/**
 * Verifies an access token of a project's own issuer as a proxy does, whichever links it is for; undefined = it is none,
 * or counts no more. @throws ConduitError `resource_not_found` when there is no such project
 */
export async function verifyBuiltInToken(
  deps: Deps,
  project: string,
  text: string,
): Promise<VerifiedToken | undefined> {
  const { issuer, jwks } = await deps.store.read(async (reader) => ({
    issuer: issuerOf(found(await getIssuer(reader, project, BUILT_IN_ISSUER_ID))),
    jwks: await publishedJwks(reader, project, deps.clock.now()),
  }));
  const trusted = trustIssuer({ issuer, jwks, jwksSources: deps.jwksSources });
  const verified = await verifyToken(text, { issuers: [trusted], audiencesOf: () => undefined }, deps.clock);
  return verified instanceof TokenFault ? undefined : verified;
}
