import { proxyName } from "../model/resource-name.ts";
import { credentialOf, type ProxyCredentials } from "../policy/proxy-credential.ts";
import type { ProxyRow } from "../store/proxies.ts";
import type { FoundProxy } from "./authenticate.ts";

/** What a row holds of credentials. */
export const credentialsOf = (row: ProxyRow): ProxyCredentials => ({
  credentialHash: row.credentialHash,
  createTimeMs: (row.credentialCreateTime ?? row.createTime).getTime(),
  previousHash: row.previousCredentialHash,
  previousExpireTimeMs: row.previousCredentialExpireTime?.getTime() ?? null,
});

/** The proxy that shows a credential; undefined when that counts no more. @param maxAgeMs of credentials */
export function foundProxyOf(row: ProxyRow, hash: string, nowMs: number, maxAgeMs: number): FoundProxy | undefined {
  const held = credentialsOf(row);
  const which = credentialOf(held, hash, nowMs);
  if (which === undefined) return undefined;
  const isOld = nowMs - held.createTimeMs >= maxAgeMs;
  const isCredentialDue = which === "current" && (isOld || row.rotateRequestTime !== null);
  return { proxy: proxyName(row.id), credentialHash: hash, isCredentialDue, isRevoked: row.revokeTime !== null };
}
