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
import { sessionName } from "../../model/resource-name.ts";
import type { Tx } from "../../store/database.ts";
import { insertSessions } from "../../store/sessions.ts";
import { msFromDuration } from "../../wire/time.ts";
import { principalOf } from "../call.ts";
import { type IssuedToken, type IssuingCall, issueTokens, type WantedToken } from "../issue-tokens.ts";
import { confirmCaller } from "../recalled-caller.ts";
import { required } from "../required.ts";
import { readProjectName } from "../resource-path.ts";
import { requireClaims } from "./claims.ts";
import { type OpenedSession, openSession } from "./open-session.ts";

export async function mintToken(call: IssuingCall, request: MintTokenRequest): Promise<MintTokenResponse> {
  const [minted] = await mintAll(call, request.parent, [request], () => "");
  return required(minted);
}

/** Mints all that are wanted, or none. */
export async function batchMintTokens(
  issuing: IssuingCall,
  { parent, requests }: BatchMintTokensRequest,
): Promise<BatchMintTokensResponse> {
  // The call is authorised for its own parent only.
  const foreign = requests.flatMap((request, index) =>
    request.parent === parent ? [] : [`requests[${index}].parent`],
  );
  if (foreign.length > 0) throw invalidFields(foreign.map((field) => ({ field, description: "must be the call's" })));
  const tokens = await mintAll(issuing, parent, requests, (index) => `requests[${index}].`);
  return create(BatchMintTokensResponseSchema, { tokens });
}

async function mintAll(
  issuing: IssuingCall,
  parent: string,
  requests: readonly MintTokenRequest[],
  fieldOf: (index: number) => string,
): Promise<MintTokenResponse[]> {
  const project = readProjectName(parent, "parent");
  const { deps, call } = issuing;
  // A session keeps what its key may do.
  if (requests.some(({ session }) => session !== undefined)) await confirmCaller(call);
  const principal = principalOf(call);
  const wanted = requests.map((request, index) => wantedOf(request, fieldOf(index)));
  const opened = await Promise.all(
    requests.map((request, index) => openSession(deps, project, principal, request, required(wanted[index]))),
  );
  const inSessions = wanted.map((token, index) => ({ ...token, ...sidOf(opened[index]) }));
  const rows = opened.flatMap((one) => (one === undefined ? [] : [one.row]));
  const alongside = rows.length === 0 ? undefined : (tx: Tx) => insertSessions(tx, rows);
  const issued = await issueTokens(issuing, project, inSessions, alongside);
  return issued.map((token, index) => mintedOf(token, opened[index]));
}

const sidOf = (opened: OpenedSession | undefined) => (opened === undefined ? {} : { session: opened.row.id });

/** @param field path of the request that wants it among several, as `requests[3].` */
function wantedOf({ subject, links, lifetime, scope, roles, claims }: MintTokenRequest, field: string): WantedToken {
  const lifetimeMs = msFromDuration(lifetime);
  return { subject, links, lifetimeMs, scope, roles, claims: requireClaims(claims, field), field };
}

const mintedOf = (
  { accessToken, lifetimeMs, expireTimeMs, tokenId }: IssuedToken,
  opened: OpenedSession | undefined,
): MintTokenResponse =>
  create(MintTokenResponseSchema, {
    accessToken,
    tokenType: "Bearer",
    expiresIn: BigInt(lifetimeMs / 1000),
    expireTime: timestampFromMs(expireTimeMs),
    tokenId,
    ...(opened !== undefined && {
      refreshToken: opened.refreshToken.reveal(),
      session: sessionName(opened.row.project, opened.row.id),
    }),
  });
