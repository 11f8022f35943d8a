import type {
  RotateSigningKeyRequest,
  SigningKey as SigningKeyMessage,
} from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { commitChanges, type Write } from "../../config-log/commit.ts";
import { generateSigningKey, type StoredSigningKey } from "../../jwt/signing-key.ts";
import { signingKeyName } from "../../model/resource-name.ts";
import { PUBLISH_LEAD_MS } from "../../policy/signing-key-life.ts";
import type { Tx } from "../../store/database.ts";
import { insertSigningKey, type KeyGroup, type SigningKeyRow } from "../../store/signing-keys.ts";
import { builtInAlgorithmFromProto, purposeFromProto } from "../../wire/signing-key.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { readProjectName } from "../resource-path.ts";
import { sealingKeyOf } from "../secret-values.ts";
import { signingKeyRow } from "../signing-keys.ts";
import { signingKeyMessageOf } from "./convert.ts";
import { currentAlgorithm } from "./create.ts";
import { activate, type LockedKeys, lockKeys, noteSequence, retire } from "./key-set.ts";

export async function rotateSigningKey(
  deps: Deps,
  request: RotateSigningKeyRequest,
  context: AuditedCall,
): Promise<{ signingKey: SigningKeyMessage; configSequence: bigint }> {
  const project = readProjectName(request.parent, "parent");
  const purpose = purposeFromProto(request.purpose);
  const algorithm = builtInAlgorithmFromProto(request.algorithm) ?? (await currentAlgorithm(deps, project, purpose));
  const stored = await generateSigningKey(algorithm);
  const nowMs = deps.clock.now();
  const event = auditOf(context, signingKeyName(project, stored.kid), nowMs, { force: String(request.force) });
  const { result, sequence } = await commitChanges(deps.store, event, async (tx): Promise<Write<SigningKeyRow>> => {
    const locked = await lockKeys(deps, tx, project, purpose);
    const waiting = locked.keys.find((key) => key.scheduledActivateTime !== null && key.algorithm === algorithm);
    // Asked again: one successor is enough.
    if (waiting !== undefined && !request.force) return { result: waiting, changes: [], isRepetition: true };
    const result = request.force
      ? await replaceNow(deps, tx, locked, waiting ?? stored, project, new Date(nowMs))
      : await schedule(deps, tx, { project, purpose }, stored, nowMs, PUBLISH_LEAD_MS);
    return { result, changes: await locked.changes(nowMs) };
  });
  await noteSequence(deps.store, result, sequence);
  return { signingKey: signingKeyMessageOf(result, nowMs), configSequence: sequence };
}

/** Another key signs at once: one that is published already, else a new one. */
export async function replaceNow(
  deps: Deps,
  tx: Tx,
  { active, purpose }: LockedKeys,
  successor: SigningKeyRow | StoredSigningKey,
  project: string,
  now: Date,
): Promise<SigningKeyRow> {
  await retire(tx, active, now);
  if ("state" in successor) return activate(tx, successor, now);
  return insertSigningKey(tx, signingKeyRow(deps, await sealingKeyOf(tx, project), successor, "ACTIVE", now, purpose));
}

/** Publishes a new key that takes over by itself after `leadMs`, if its preconditions hold then. */
export async function schedule(
  deps: Deps,
  tx: Tx,
  { project, purpose }: KeyGroup,
  stored: StoredSigningKey,
  nowMs: number,
  leadMs: number,
): Promise<SigningKeyRow> {
  const row = signingKeyRow(deps, await sealingKeyOf(tx, project), stored, "PENDING", new Date(nowMs), purpose);
  return insertSigningKey(tx, { ...row, scheduledActivateTime: new Date(nowMs + leadMs) });
}
