import type { IssuerKeyStatus as KeyStatusMessage } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { ConduitError } from "../../model/errors.ts";
import { type Issuer, isFetched } from "../../model/issuer.ts";
import { proxyName } from "../../model/resource-name.ts";
import { lockIssuer, updateIssuer } from "../../store/issuers.ts";
import { proxiesWithKeysOf } from "../../store/proxies.ts";
import { keyStatusToProto } from "../../wire/issuer.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { issuerChange } from "../issuer-change.ts";
import { issuerOf, issuerSpecOf } from "../issuer-row.ts";
import type { ProxyStatuses } from "../proxy-status.ts";
import { found, readNameInProject } from "../resource-path.ts";
import { issuerMessageOf, type WrittenIssuer } from "./write.ts";

/** As many proxies as one answer shows. */
const PROXIES_MAX = 200;

/** An issuer's fetched keys as the proxies saw them last; reports that are not written yet count too. */
export async function keyStatusOf(deps: Deps, statuses: ProxyStatuses, issuer: Issuer): Promise<KeyStatusMessage[]> {
  if (!isFetched(issuer.keys)) return [];
  await statuses.flush();
  const rows = await deps.store.read((reader) => proxiesWithKeysOf(reader, issuer.name, PROXIES_MAX));
  return rows.flatMap(({ id, issuerKeys, lastSeenTime }) => {
    const status = issuerKeys.find((one) => one.issuer === issuer.name);
    const seen = { proxy: proxyName(id), reportTimeMs: lastSeenTime?.getTime() };
    return status === undefined ? [] : [keyStatusToProto(status, seen)];
  });
}

/** The wish travels in the config stream; each proxy fetches once when its own budget allows. */
export async function refreshKeys(deps: Deps, name: string, context: AuditedCall): Promise<WrittenIssuer> {
  const { project, id } = readNameInProject("issuer", name, "name");
  const nowMs = deps.clock.now();
  const event = auditOf(context, name, nowMs);
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const row = found(await lockIssuer(tx, project, id));
    const current = issuerOf(row);
    if (!isFetched(current.keys)) {
      throw new ConduitError("field_invalid", { detail: "Only keys behind a jwks_url or oidc_discovery are fetched" });
    }
    // A second wish within one millisecond is another wish.
    const keysRefreshTimeMs = Math.max(nowMs, (current.keysRefreshTimeMs ?? 0) + 1);
    const next: Issuer = { ...current, keysRefreshTimeMs };
    const updated = await updateIssuer(tx, { ...row, spec: issuerSpecOf(next) });
    return { result: updated, changes: [await issuerChange(tx, next, nowMs)] };
  });
  return { issuer: issuerMessageOf(result), configSequence: sequence };
}
