import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type MintTokenRequest,
  type MintTokenResponse,
  MintTokenResponseSchema,
  type TokenService,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { mintAccessToken } from "../../jwt/mint.ts";
import type { Principal } from "../../model/api-key.ts";
import { type FieldViolation, invalidFields } from "../../model/errors.ts";
import { idOf, projectOf } from "../../model/resource-name.ts";
import type { Reader } from "../../store/database.ts";
import { getLink } from "../../store/links.ts";
import { getProject } from "../../store/projects.ts";
import { msFromDuration } from "../../wire/time.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { found, readProjectName } from "../resource-path.ts";
import type { Signers } from "../signing-keys.ts";
import { requireClaims } from "./claims.ts";
import { introspectToken } from "./introspect.ts";

/** contract.md 8. The most is the proto's to check. */
const LIFETIME_DEFAULT_MS = 15 * 60 * 1000;
/** Of the whole token: servers commonly take 8 KiB of header, and a token is one line of it. */
const TOKEN_MAX_BYTES = 8 * 1024;

export const tokenService = (deps: Deps, signers: Signers): ServiceImpl<typeof TokenService> => ({
  mintToken: (request, context) => mintToken(deps, signers, request, principalOf(context)),
  introspectToken: (request) => introspectToken(deps, request),
});

async function mintToken(
  deps: Deps,
  signers: Signers,
  request: MintTokenRequest,
  principal: Principal,
): Promise<MintTokenResponse> {
  const project = readProjectName(request.parent, "parent");
  const claims = requireClaims(request.claims);
  const issuer = await deps.store.read(async (reader) => {
    const row = found(await getProject(reader, project));
    await requireLinks(reader, project, request.links);
    return row.issuer;
  });
  const tokenId = deps.random.uuid();
  const lifetimeMs = msFromDuration(request.lifetime) ?? LIFETIME_DEFAULT_MS;
  const issuedAtMs = deps.clock.now();
  const { token, expireTimeMs } = await mintAccessToken(await signers.activeKey(project), {
    issuer,
    subject: request.subject,
    audiences: request.links,
    clientId: idOf(principal.apiKey),
    tokenId,
    issuedAtMs,
    lifetimeMs,
    scope: request.scope,
    roles: request.roles,
    claims,
  });
  requireSendable(token);
  return create(MintTokenResponseSchema, {
    accessToken: token,
    tokenType: "Bearer",
    expiresIn: BigInt(expireTimeMs / 1000 - Math.floor(issuedAtMs / 1000)),
    expireTime: timestampFromMs(expireTimeMs),
    tokenId,
  });
}

/** Throws `field_invalid` naming each link that is not one of the project: a token for it would be good for nothing. */
async function requireLinks(reader: Reader, project: string, names: readonly string[]): Promise<void> {
  const violations: FieldViolation[] = [];
  for (const [index, name] of names.entries()) {
    const isKnown = projectOf(name) === project && (await getLink(reader, project, idOf(name))) !== undefined;
    if (!isKnown) violations.push({ field: `links[${index}]`, description: "names no link of the project" });
  }
  if (violations.length > 0) throw invalidFields(violations);
}

/** Throws `field_invalid`: what it carries is too much for a header. */
function requireSendable(token: string): void {
  if (token.length <= TOKEN_MAX_BYTES) return;
  const description = "the token would be longer than 8 KiB, which many servers refuse in a header: leave claims out";
  throw invalidFields([{ field: "claims", description }]);
}
