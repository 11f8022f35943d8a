import type {
  RevokeSigningKeyRequest,
  SigningKey as SigningKeyMessage,
} from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { generateSigningKey } from "../../jwt/signing-key.ts";
import type { ConfigChange } from "../../model/config-resource.ts";
import { ConduitError } from "../../model/errors.ts";
import { BUILT_IN_ISSUER_ID } from "../../model/project.ts";
import { issuerName } from "../../model/resource-name.ts";
import type { Tx } from "../../store/database.ts";
import { changeSigningKey, getSigningKey, type SigningKeyRow } from "../../store/signing-keys.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { found, readNameInProject } from "../resource-path.ts";
import { MINTED_LIFETIME_MS, writeRevocation } from "../revocation-write.ts";
import { stateOf } from "../signing-keys.ts";
import { signingKeyMessageOf } from "./convert.ts";
import { currentAlgorithm } from "./create.ts";
import { lockKeys, noteSequence } from "./key-set.ts";
import { whyStillInUse } from "./readiness.ts";
import { replaceNow } from "./rotate.ts";

/**
 * The key leaves the key set at once, and the proxies with it: tokens it signed verify no more, and a revocation by its
 * kid says so as well. A project never is
 * without a key that signs: its successor is in the same transaction.
 */
export async function revokeSigningKey(
  deps: Deps,
  { name, force, reason }: RevokeSigningKeyRequest,
  context: AuditedCall,
): Promise<{ signingKey: SigningKeyMessage; configSequence: bigint }> {
  const { project, id } = readNameInProject("signingKey", name, "name");
  const { purpose } = found(await deps.store.read((reader) => getSigningKey(reader, project, id)));
  const spare = await generateSigningKey(await currentAlgorithm(deps, project, purpose));
  const nowMs = deps.clock.now();
  const now = new Date(nowMs);
  const event = auditOf(context, name, nowMs, { force: String(force), ...(reason !== "" && { reason }) });
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const locked = await lockKeys(deps, tx, project, purpose);
    const key = found(await getSigningKey(tx, project, id));
    const state = stateOf(key, nowMs);
    if (state === "REVOKED" || state === "RETIRED") throw isOver();
    const refusal = force ? undefined : whyStillInUse(key);
    if (refusal !== undefined) throw refusal;
    const waiting = locked.keys.find((other) => other.state === "PENDING");
    const successor =
      state === "ACTIVE" ? await replaceNow(deps, tx, locked, waiting ?? spare, project, now) : undefined;
    const retireTime = key.retireTime ?? (key.activateTime === null ? null : now);
    const revoked = await changeSigningKey(tx, id, { state: "REVOKED", retireTime, scheduledActivateTime: null });
    const withdrawal = purpose === "TOKEN" ? [await withdrawTokens(deps, tx, revoked, reason, nowMs)] : [];
    return { result: { revoked, successor }, changes: [...(await locked.changes(nowMs)), ...withdrawal] };
  });
  if (result.successor !== undefined) await noteSequence(deps.store, result.successor, sequence);
  return { signingKey: signingKeyMessageOf(result.revoked, nowMs), configSequence: sequence };
}

/** Who holds an older key set, or verified a token before, refuses by this entry what the key signed (S11). */
async function withdrawTokens(
  deps: Deps,
  tx: Tx,
  { project, kid }: SigningKeyRow,
  reason: string,
  nowMs: number,
): Promise<ConfigChange> {
  const target = { kind: "key", issuer: issuerName(project, BUILT_IN_ISSUER_ID), kid } as const;
  const expireTimeMs = nowMs + MINTED_LIFETIME_MS;
  const entry = { project, id: deps.random.uuid(), target, expireTimeMs, reason: reason || "signing key revoked" };
  return (await writeRevocation(tx, entry, nowMs)).change;
}

const isOver = (): ConduitError =>
  new ConduitError("precondition_unmet", {
    detail: "The key is out of use already",
    metadata: { condition: "state" },
  });
