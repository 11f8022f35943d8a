import { create, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type IntrospectTokenRequest,
  type IntrospectTokenResponse,
  IntrospectTokenResponseSchema,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { Claims } from "../../model/claims.ts";
import { verifyBuiltInToken } from "../built-in-tokens.ts";
import type { Deps } from "../deps.ts";
import { readProjectName } from "../resource-path.ts";

/** RFC 7662 2.2: of a token that does not count nothing is said, whatever the reason. */
export async function introspectToken(deps: Deps, request: IntrospectTokenRequest): Promise<IntrospectTokenResponse> {
  const project = readProjectName(request.parent, "parent");
  const verified = await verifyBuiltInToken(deps, project, request.token);
  if (verified === undefined) return create(IntrospectTokenResponseSchema);
  return create(IntrospectTokenResponseSchema, { active: true, ...describeClaims(verified.claims) });
}

function describeClaims({ iss, sub, aud, client_id, jti, sid, scope, roles, iat, exp, ...further }: Claims) {
  return {
    issuer: textOf(iss),
    subject: textOf(sub),
    links: textsOf(aud),
    clientId: textOf(client_id),
    tokenId: textOf(jti),
    sessionId: textOf(sid),
    scope: textOf(scope),
    roles: textsOf(roles),
    issueTime: timestampFromMs(Number(iat) * 1000),
    expireTime: timestampFromMs(Number(exp) * 1000),
    // Read from JSON text a moment ago, so JSON values.
    claims: further as JsonObject,
  };
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const textsOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string");
