import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { RotateCredentialRequest } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { ConduitError } from "../../model/errors.ts";
import { idOf } from "../../model/resource-name.ts";
import { credentialOf, type ProxyCredentials, rotated } from "../../policy/proxy-credential.ts";
import { recordAudit } from "../../store/audit.ts";
import { lockProxy, type ProxyRow, setProxyCredentials } from "../../store/proxies.ts";
import { timestampFromMs } from "../../wire/time.ts";
import { type AuditedCall, auditBy } from "../audit-of.ts";
import { proxyOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { headSequence } from "../log-head.ts";
import { credentialsOf } from "../proxy-credential.ts";

/**
 * Registers a proxy's next credential. Safe to repeat, whatever was lost: the proxy has the text on its disk before it calls.
 * @throws ConduitError `credential_invalid` when the one shown was replaced meanwhile
 */
export async function rotateCredential(
  deps: Deps,
  { credentialSha256 }: RotateCredentialRequest,
  context: AuditedCall,
): Promise<{ previousExpireTime?: Timestamp; configSequence: bigint }> {
  const { proxy, credentialHash: shownHash } = proxyOf(context);
  const nextHash = Buffer.from(credentialSha256).toString("hex");
  const nowMs = deps.clock.now();
  const { held, configSequence } = await deps.store.transaction(async (tx) => {
    const row = await lockProxy(tx, idOf(proxy));
    if (row === undefined || row.revokeTime !== null) throw new ConduitError("credential_invalid");
    const before = credentialsOf(row);
    if (credentialOf(before, shownHash, nowMs) === undefined) throw new ConduitError("credential_invalid");
    const after = rotated(before, { shownHash, nextHash }, nowMs);
    if (after !== undefined) {
      await setProxyCredentials(tx, row.id, columnsOf(after));
      await recordAudit(tx, auditBy(proxy, context, proxy, nowMs));
    }
    return { held: after ?? before, configSequence: await headSequence(tx) };
  });
  const previousExpireTime = timestampFromMs(held.previousExpireTimeMs ?? undefined);
  return { configSequence, ...(previousExpireTime && { previousExpireTime }) };
}

const columnsOf = ({ createTimeMs, previousExpireTimeMs, ...hashes }: ProxyCredentials) => ({
  credentialHash: hashes.credentialHash,
  credentialCreateTime: new Date(createTimeMs),
  previousCredentialHash: hashes.previousHash,
  previousCredentialExpireTime: previousExpireTimeMs === null ? null : new Date(previousExpireTimeMs),
  rotateRequestTime: null satisfies ProxyRow["rotateRequestTime"],
});
