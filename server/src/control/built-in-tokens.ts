import { TokenFault } from "../jwt/token-fault.ts";
import { trustIssuer } from "../jwt/trust.ts";
import { type VerifiedToken, verifyToken } from "../jwt/verify.ts";
import type { Claims } from "../model/claims.ts";
import { BUILT_IN_ISSUER_ID } from "../model/project.ts";
import { keysOfSource, keysOfToken } from "../model/revocation.ts";
import { readTokenSource } from "../model/token-source.ts";
import { getIssuer } from "../store/issuers.ts";
import type { Deps } from "./deps.ts";
import { issuerOf } from "./issuer-row.ts";
import { found } from "./resource-path.ts";
import { publishedJwks } from "./signing-keys.ts";
import { storedRevocations } from "./stored-revocations.ts";

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
  if (verified instanceof TokenFault || (await isRevokedEverywhere(deps, project, verified))) return undefined;
  return verified;
}

/** Whether no link of its audience accepts it any more: a link's own revocation leaves it good for the others. */
async function isRevokedEverywhere(
  { store, clock }: Deps,
  project: string,
  { claims, kid, trusted }: VerifiedToken,
): Promise<boolean> {
  const links = [claims.aud].flat().filter((link) => typeof link === "string");
  const token = { project, issuer: trusted.issuer.name, kid, ...textClaims(claims) };
  const source = readTokenSource(claims);
  const ways = links.map((link) => ({
    own: keysOfToken({ ...token, link }),
    source: source === undefined ? NO_KEYS : keysOfSource(source, { project, link, sub: token.sub }),
  }));
  const nowMs = clock.now();
  const all = new Uint8Array(Buffer.concat(ways.flatMap((way) => [way.own, way.source])));
  const revocations = await store.read((reader) => storedRevocations(reader, all, nowMs));
  return ways.every(
    (way) =>
      revocations.isRevoked(() => way.own, Number(claims.iat), nowMs) ||
      revocations.isRevoked(() => way.source, source?.iat, nowMs),
  );
}

const NO_KEYS = new Uint8Array(0);

/** Ours are always texts: we signed them. */
const textClaims = ({ jti, sid, sub }: Claims) => ({ jti: textOf(jti), sid: textOf(sid), sub: textOf(sub) });

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
