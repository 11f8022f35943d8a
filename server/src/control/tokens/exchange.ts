import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ExchangeTokenRequest,
  type ExchangeTokenResponse,
  ExchangeTokenResponseSchema,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { JudgedLink } from "../../judge/judged-link.ts";
import type { User } from "../../judge/user.ts";
import type { Claims } from "../../model/claims.ts";
import { ConduitError, type FieldViolation, invalidFields } from "../../model/errors.ts";
import { idOf, projectOf } from "../../model/resource-name.ts";
import { sourceOfOwn, tokenSource } from "../../model/token-source.ts";
import { readClaim, wordsOf } from "../../policy/claims.ts";
import { narrowScope } from "../../policy/scope.ts";
import { getProject } from "../../store/projects.ts";
import { msFromDuration } from "../../wire/time.ts";
import { principalOf } from "../call.ts";
import { compileStoredLink } from "../compile-link.ts";
import type { Deps } from "../deps.ts";
import { type IssuingCall, issueTokens, type WantedToken } from "../issue-tokens.ts";
import { required } from "../required.ts";
import { found, readProjectName } from "../resource-path.ts";
import { actorOf, type ExchangingClient } from "./actor.ts";
import { exchangedClaims } from "./exchanged-claims.ts";
import { judgeSubjectToken, unusableToken } from "./subject-token.ts";

/**
 * RFC 8693 2. The new token is never wider than the old one: each link named must accept that one itself, its scope is a
 * part of the old one's, it carries the same claims about the person, and it ends no later.
 */
export async function exchangeToken(
  issuing: IssuingCall,
  request: ExchangeTokenRequest,
): Promise<ExchangeTokenResponse> {
  const { deps, call } = issuing;
  const project = readProjectName(request.parent, "parent");
  const { issuer } = found(await deps.store.read((reader) => getProject(reader, project)));
  const links = await compiledLinks(deps, project, request.links);
  const user = await judgeSubjectToken(request.subjectToken, links, deps);
  const client = { id: idOf(principalOf(call).apiKey), issuer };
  const wanted = wantedOf(request, user, client, deps.clock.now());
  const issued = required((await issueTokens(issuing, project, [wanted]))[0]);
  return create(ExchangeTokenResponseSchema, {
    accessToken: issued.accessToken,
    tokenType: "Bearer",
    expiresIn: BigInt(issued.lifetimeMs / 1000),
    expireTime: timestampFromMs(issued.expireTimeMs),
    tokenId: issued.tokenId,
    scope: wanted.scope,
  });
}

/** The links named, compiled. @throws ConduitError `field_invalid` naming each that is not one of the project */
async function compiledLinks(deps: Deps, project: string, names: readonly string[]): Promise<JudgedLink[]> {
  const links: JudgedLink[] = [];
  const violations: FieldViolation[] = [];
  for (const [index, name] of names.entries()) {
    const link = projectOf(name) === project ? await compiledLink(deps, project, idOf(name)) : undefined;
    if (link === undefined) violations.push({ field: `links[${index}]`, description: "names no link of the project" });
    else links.push(link);
  }
  if (violations.length > 0) throw invalidFields(violations);
  return links;
}

async function compiledLink(deps: Deps, project: string, id: string): Promise<JudgedLink | undefined> {
  try {
    return await compileStoredLink(deps, project, id);
  } catch (error) {
    if (error instanceof ConduitError && error.code === "resource_not_found") return undefined;
    throw error;
  }
}

function wantedOf(request: ExchangeTokenRequest, user: User, client: ExchangingClient, nowMs: number): WantedToken {
  const { claims, issuer, kid } = user;
  requireUsable(claims);
  const isOurs = issuer.keys.kind === "built_in";
  // Of our own session: whoever ends it ends this token too. Another issuer's session is remembered with its source.
  const session = isOurs && typeof claims.sid === "string" ? claims.sid : undefined;
  const source = (isOurs ? sourceOfOwn : tokenSource)(issuer.name, claims, kid);
  return {
    subject: String(claims.sub),
    links: request.links,
    lifetimeMs: msFromDuration(request.lifetime),
    endsByMs: endOf(user, nowMs),
    scope: scopeOf(claims, request.scope),
    ...exchangedClaims(claims, issuer),
    templateSource: claims,
    ...(session !== undefined && { session }),
    source,
    actor: actorOf(claims, client),
  };
}

const SUBJECT_MAX_BYTES = 255;

/** Throws `field_invalid` for a token that must not be turned into one of ours. */
function requireUsable({ sub, cnf }: Claims): void {
  const isSubject = typeof sub === "string" && /^\P{Cc}+$/u.test(sub);
  if (!isSubject || Buffer.byteLength(sub) > SUBJECT_MAX_BYTES)
    throw unusableToken(`needs a sub of at most ${SUBJECT_MAX_BYTES} bytes without control characters`);
  // RFC 7800: good only with proof of a key; the new one would be good without.
  if (cnf !== undefined) throw unusableToken("is bound to a key (cnf), which the new token would not be");
}

/** The end of the old token, its leeway not counted. Throws `field_invalid` when that is less than two seconds away. */
function endOf({ claims, issuer, validUntilMs }: User, nowMs: number): number {
  const endMs = typeof claims.exp === "number" ? claims.exp * 1000 : validUntilMs - issuer.expLeewayMs;
  // In whole seconds, as the new token says it.
  const endsByMs = Math.floor(endMs / 1000) * 1000;
  // A token may be dated a second ahead.
  if (endsByMs - nowMs < 2000) throw unusableToken("is about to expire");
  return endsByMs;
}

/** RFC 6749 3.3. A name in a list that is none would become two others, or nothing that could be asked for. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

/** RFC 8693 2.2.1: what was asked for if the old token has all of it; without a wish all that it has. */
function scopeOf(claims: Claims, wanted: string): string {
  const held = wordsOf(readClaim(claims, ["scope"]) ?? readClaim(claims, ["scp"]));
  const scope = narrowScope(
    held.filter((name) => SCOPE.test(name)),
    wanted,
  );
  if (scope !== undefined) return scope;
  throw invalidFields([{ field: "scope", description: "has more than the subject token's" }]);
}
