import {
  type CreateIssuerRequest,
  CreateIssuerRequestSchema,
  type Issuer as IssuerMessage,
  IssuerSchema,
  type UpdateIssuerRequest,
} from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { commitChanges, type Write } from "../../config-log/commit.ts";
import type { Issuer } from "../../model/issuer.ts";
import { idOf, issuerName } from "../../model/resource-name.ts";
import type { Tx } from "../../store/database.ts";
import { getIssuer, type IssuerRow, insertIssuer, lockIssuer, updateIssuer as updateRow } from "../../store/issuers.ts";
import { issuerFromProto, issuerToProto } from "../../wire/issuer.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { metaOf, requireEtag } from "../etag.ts";
import { applyMask, OUTPUT_ONLY } from "../field-mask.ts";
import { issuerChange } from "../issuer-change.ts";
import { issuerOf, issuerSpecOf } from "../issuer-row.ts";
import { newId } from "../new-id.ts";
import { requireProject } from "../require-project.ts";
import { required } from "../required.ts";
import { found, readNameInProject, readProjectName } from "../resource-path.ts";
import {
  requireAgeCounts,
  requireKeys,
  requireLinksStaySound,
  requireNotBuiltIn,
  requirePrivateAllowed,
  requireSameNature,
  requireSoundIssuer,
} from "./soundness.ts";

/** Changed by RefreshKeys, and reported by the proxies. */
const FIXED = [...OUTPUT_ONLY, "keys_refresh_time", "key_status"];

export interface WrittenIssuer {
  readonly issuer: IssuerMessage;
  readonly configSequence: bigint;
}

export const issuerMessageOf = (row: IssuerRow): IssuerMessage => issuerToProto(issuerOf(row), metaOf(row));

export async function createIssuer(
  deps: Deps,
  request: CreateIssuerRequest,
  context: AuditedCall,
): Promise<WrittenIssuer> {
  const project = readProjectName(request.parent, "parent");
  const message = required(request.issuer);
  requireKeys(message);
  requireAgeCounts(message);
  const id = request.issuerId || newId(deps.random, message.displayName, "issuer");
  const { keysRefreshTimeMs: _output, ...given } = issuerFromProto(message);
  const issuer: Issuer = { ...given, name: issuerName(project, id) };
  requireNotBuiltIn(issuer);
  requirePrivateAllowed(principalOf(context), issuer, undefined);
  const nowMs = deps.clock.now();
  const make = async (tx: Tx): Promise<Write<IssuerRow>> => {
    await requireProject(tx, project);
    await requireSoundIssuer(deps, tx, project, issuer);
    const now = new Date(nowMs);
    const result = await insertIssuer(tx, {
      project,
      id,
      spec: issuerSpecOf(issuer),
      createTime: now,
      updateTime: now,
    });
    return { result, changes: [await issuerChange(tx, issuer, nowMs)] };
  };
  const call = { context, schema: CreateIssuerRequestSchema, request, resourceName: issuer.name };
  const outcome = await createOnce(deps, call, make);
  const row =
    "made" in outcome
      ? outcome.made
      : found(await deps.store.read((reader) => getIssuer(reader, project, idOf(outcome.earlierName))));
  return { issuer: issuerMessageOf(row), configSequence: outcome.sequence };
}

export async function updateIssuer(
  deps: Deps,
  request: UpdateIssuerRequest,
  context: AuditedCall,
): Promise<WrittenIssuer> {
  const wanted = required(request.issuer);
  const { project, id } = readNameInProject("issuer", wanted.name, "issuer.name");
  const nowMs = deps.clock.now();
  const event = auditOf(context, wanted.name, nowMs);
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const row = found(await lockIssuer(tx, project, id));
    requireEtag(wanted.etag, row);
    const current = issuerOf(row);
    const { message, touched } = applyMask(IssuerSchema, issuerToProto(current), wanted, request.updateMask, FIXED);
    requireKeys(message);
    // Switching `allow_missing_exp` off takes the age with it; naming the age alone is a mistake.
    if (touched.has("max_token_age")) requireAgeCounts(message);
    // A new address of discovery is a new `iss`, unless one is given.
    if (touched.has("oidc_discovery") && !touched.has("iss")) message.iss = "";
    const next = issuerFromProto(message);
    requireSameNature(current, next);
    requirePrivateAllowed(principalOf(context), next, current);
    await requireSoundIssuer(deps, tx, project, next);
    await requireLinksStaySound(tx, project, next);
    const updated = await updateRow(tx, { ...row, spec: issuerSpecOf(next), updateTime: new Date(nowMs) });
    return { result: updated, changes: [await issuerChange(tx, next, nowMs)] };
  });
  return { issuer: issuerMessageOf(result), configSequence: sequence };
}
