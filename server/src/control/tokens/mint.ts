import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type BatchMintTokensRequest,
  type BatchMintTokensResponse,
  BatchMintTokensResponseSchema,
  type MintTokenRequest,
  type MintTokenResponse,
  MintTokenResponseSchema,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import { invalidFields } from "../../model/errors.ts";
import { msFromDuration } from "../../wire/time.ts";
import { type IssuedToken, type IssuingCall, issueTokens, type WantedToken } from "../issue-tokens.ts";
import { required } from "../required.ts";
import { readProjectName } from "../resource-path.ts";
import { requireClaims } from "./claims.ts";

export async function mintToken(call: IssuingCall, request: MintTokenRequest): Promise<MintTokenResponse> {
  const project = readProjectName(request.parent, "parent");
  const [issued] = await issueTokens(call, project, [wantedOf(request, "")]);
  return mintedOf(required(issued));
}

/** Mints all that are wanted, or none. */
export async function batchMintTokens(
  issuing: IssuingCall,
  { parent, requests }: BatchMintTokensRequest,
): Promise<BatchMintTokensResponse> {
  const project = readProjectName(parent, "parent");
  // The call is authorised for its own parent only.
  const foreign = requests.flatMap((request, index) =>
    request.parent === parent ? [] : [`requests[${index}].parent`],
  );
  if (foreign.length > 0) throw invalidFields(foreign.map((field) => ({ field, description: "must be the call's" })));
  const wanted = requests.map((request, index) => wantedOf(request, `requests[${index}].`));
  const issued = await issueTokens(issuing, project, wanted);
  return create(BatchMintTokensResponseSchema, { tokens: issued.map(mintedOf) });
}

/** @param field path of the request that wants it among several, as `requests[3].` */
function wantedOf({ subject, links, lifetime, scope, roles, claims }: MintTokenRequest, field: string): WantedToken {
  const lifetimeMs = msFromDuration(lifetime);
  return { subject, links, lifetimeMs, scope, roles, claims: requireClaims(claims, field), field };
}

const mintedOf = ({ accessToken, lifetimeMs, expireTimeMs, tokenId }: IssuedToken): MintTokenResponse =>
  create(MintTokenResponseSchema, {
    accessToken,
    tokenType: "Bearer",
    expiresIn: BigInt(lifetimeMs / 1000),
    expireTime: timestampFromMs(expireTimeMs),
    tokenId,
  });
