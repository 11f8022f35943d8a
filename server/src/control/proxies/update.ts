import {
  type Proxy as ProxyMessage,
  ProxySchema,
  type RotateProxyCredentialRequest,
  type UpdateProxyRequest,
} from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { ConduitError } from "../../model/errors.ts";
import { lockProxy, updateProxy as updateRow } from "../../store/proxies.ts";
import { proxyToProto } from "../../wire/proxy.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { applyMask } from "../field-mask.ts";
import { required } from "../required.ts";
import { found, readProxyName } from "../resource-path.ts";
import { describeProxy, instanceOf, type Presence } from "./convert.ts";

/** Everything else says what the proxy is or does. */
const OURS = "display_name";
const FIXED = ProxySchema.fields.map(({ name }) => name).filter((name) => name !== OURS);

/** Changes what people call a proxy. */
export async function updateProxy(
  deps: Deps,
  request: UpdateProxyRequest,
  context: AuditedCall,
  presence: Presence,
): Promise<{ proxy: ProxyMessage; configSequence: bigint }> {
  const wanted = required(request.proxy);
  const id = readProxyName(wanted.name, "proxy.name");
  const nowMs = deps.clock.now();
  const event = auditOf(context, wanted.name, nowMs);
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const row = found(await lockProxy(tx, id));
    requireEtag(wanted.etag, row);
    const current = proxyToProto(instanceOf(row), { lag: 0n, connected: false, live: false });
    const { displayName } = applyMask(ProxySchema, current, wanted, request.updateMask, FIXED).message;
    return { result: await updateRow(tx, id, { displayName }), changes: [] };
  });
  const proxy = await deps.store.read((reader) => describeProxy(reader, result, presence, nowMs));
  return { proxy, configSequence: sequence };
}

/** Notes that a proxy is to replace its credential: it is told with its next report. @throws ConduitError `precondition_unmet` when it has been revoked */
export async function requestRotation(
  deps: Deps,
  { name }: RotateProxyCredentialRequest,
  context: AuditedCall,
  presence: Presence,
): Promise<{ proxy: ProxyMessage; configSequence: bigint }> {
  const id = readProxyName(name, "name");
  const nowMs = deps.clock.now();
  const { result, sequence } = await commitChanges(deps.store, auditOf(context, name, nowMs), async (tx) => {
    const row = found(await lockProxy(tx, id));
    if (row.revokeTime !== null)
      throw new ConduitError("precondition_unmet", {
        detail: "The proxy has been revoked",
        metadata: { condition: "active" },
      });
    return { result: await updateRow(tx, id, { rotateRequestTime: new Date(nowMs) }), changes: [] };
  });
  const proxy = await deps.store.read((reader) => describeProxy(reader, result, presence, nowMs));
  return { proxy, configSequence: sequence };
}
