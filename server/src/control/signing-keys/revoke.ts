import type {
  RevokeSigningKeyRequest,
  SigningKey as SigningKeyMessage,
} from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { generateSigningKey } from "../../jwt/signing-key.ts";
import { ConduitError } from "../../model/errors.ts";
import { changeSigningKey, getSigningKey } from "../../store/signing-keys.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { found, readNameInProject } from "../resource-path.ts";
import { stateOf } from "../signing-keys.ts";
import { signingKeyMessageOf } from "./convert.ts";
import { currentAlgorithm } from "./create.ts";
import { lockKeys, noteSequence } from "./key-set.ts";
import { whyStillInUse } from "./readiness.ts";
import { replaceNow } from "./rotate.ts";

/**
 * The key leaves the key set at once, and the proxies with it: tokens it signed verify no more. A project never is
 * without a key that signs: its successor is in the same transaction.
 */
export async function revokeSigningKey(
  deps: Deps,
  { name, force, reason }: RevokeSigningKeyRequest,
  context: AuditedCall,
): Promise<{ signingKey: SigningKeyMessage; configSequence: bigint }> {
  const { project, id } = readNameInProject("signingKey", name, "name");
  const spare = await generateSigningKey(await currentAlgorithm(deps, project));
  const nowMs = deps.clock.now();
  const now = new Date(nowMs);
  const event = auditOf(context, name, nowMs, { force: String(force), ...(reason !== "" && { reason }) });
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const locked = await lockKeys(tx, project);
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
    return { result: { revoked, successor }, changes: await locked.changes(nowMs) };
  });
  if (result.successor !== undefined) await noteSequence(deps.store, result.successor, sequence);
  return { signingKey: signingKeyMessageOf(result.revoked, nowMs), configSequence: sequence };
}

const isOver = (): ConduitError =>
  new ConduitError("precondition_unmet", {
    detail: "The key is out of use already",
    metadata: { condition: "state" },
  });
