import type {
  DeleteProxyRequest,
  Proxy as ProxyMessage,
  RevokeProxyRequest,
} from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { rotateFleetKey } from "../../config-log/rotate-fleet-key.ts";
import { ConduitError } from "../../model/errors.ts";
import { recordAudit } from "../../store/audit.ts";
import { deleteProxy, lockProxy, updateProxy } from "../../store/proxies.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { headSequence } from "../log-head.ts";
import { found, readProxyName } from "../resource-path.ts";
import { describeProxy, type Presence } from "./convert.ts";

/**
 * Shuts a proxy out: in one transaction it is marked, and the fleet gets another key. Its next call is refused by whichever
 * replica it comes to, its streams end with the epoch, and the new key is handed to the others only. Once more does nothing.
 */
export async function revokeProxy(
  deps: Deps,
  { name, etag, reason }: RevokeProxyRequest,
  context: AuditedCall,
  presence: Presence,
): Promise<{ proxy: ProxyMessage; configSequence: bigint }> {
  const id = readProxyName(name, "name");
  const nowMs = deps.clock.now();
  const event = auditOf(context, name, nowMs, { reason });
  const { row, configSequence } = await deps.store.transaction(async (tx) => {
    const known = found(await lockProxy(tx, id));
    requireEtag(etag, known);
    if (known.revokeTime !== null) return { row: known, configSequence: await headSequence(tx) };
    const row = await updateProxy(tx, id, { revokeTime: new Date(nowMs) });
    await recordAudit(tx, event);
    return { row, configSequence: await rotateFleetKey(tx, deps) };
  });
  const proxy = await deps.store.read((reader) => describeProxy(reader, row, presence, nowMs));
  return { proxy, configSequence };
}

/** Only what has been revoked: a proxy that is merely forgotten would keep the fleet's key. */
export async function deleteRevokedProxy(
  deps: Deps,
  { name, etag }: DeleteProxyRequest,
  context: AuditedCall,
): Promise<{ configSequence: bigint }> {
  const id = readProxyName(name, "name");
  const event = auditOf(context, name, deps.clock.now());
  const { sequence } = await commitChanges(deps.store, event, async (tx) => {
    const row = found(await lockProxy(tx, id));
    requireEtag(etag, row);
    if (row.revokeTime === null)
      throw new ConduitError("precondition_unmet", {
        detail: "The proxy has not been revoked: revoke it first",
        metadata: { condition: "revoked" },
      });
    await deleteProxy(tx, id);
    return { result: undefined, changes: [] };
  });
  return { configSequence: sequence };
}
