import type { Proxy as ProxyMessage } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import type { ProxyInstance } from "../../model/proxy.ts";
import { proxyName } from "../../model/resource-name.ts";
import { isLive } from "../../policy/rollout.ts";
import { type ConfigHead, getConfigHead, knownHead } from "../../store/config-head.ts";
import { ageOfTransactions } from "../../store/config-log.ts";
import type { Reader } from "../../store/database.ts";
import type { ProxyRow } from "../../store/proxies.ts";
import { proxyToProto } from "../../wire/proxy.ts";
import { etagOf } from "../etag.ts";
import { credentialsOf } from "../proxy-credential.ts";
import { type ProxyStatuses, withLatest } from "../proxy-status.ts";
import { required } from "../required.ts";

/** What is known about proxies beside their rows. */
export interface Presence {
  readonly statuses: ProxyStatuses;
  /** Whether a proxy (resource name) has its stream here. */
  isConnected(proxy: string): boolean;
  /** Aborted when the process stops: calls that wait answer with what is known then. */
  readonly stopping: AbortSignal;
}

/** What the rows hold, as a noun. */
export const instanceOf = (row: ProxyRow): ProxyInstance => ({
  name: proxyName(row.id),
  displayName: row.displayName,
  softwareVersion: row.softwareVersion,
  appliedSequence: row.appliedSequence,
  rejected: row.rejected,
  createTimeMs: row.createTime.getTime(),
  etag: etagOf(row),
  credentialCreateTimeMs: credentialsOf(row).createTimeMs,
  ...(row.lastSeenTime !== null && { lastSeenTimeMs: row.lastSeenTime.getTime() }),
  ...(row.revokeTime !== null && { revokeTimeMs: row.revokeTime.getTime() }),
});

/** The proxies as they stand now, and where the log's head is. The rows must have been read before. */
export async function describeProxies(
  reader: Reader,
  rows: readonly ProxyRow[],
  { statuses, isConnected }: Presence,
  nowMs: number,
): Promise<{ readonly proxies: ProxyMessage[]; readonly headSequence: bigint }> {
  const latest = rows.map((row) => withLatest(row, statuses));
  // Read after the rows: a proxy may be ahead of an older head, never of this one.
  const head = knownHead(await getConfigHead(reader));
  const nextOf = ({ appliedSequence }: ProxyRow): bigint => appliedSequence + 1n;
  const behind = latest.filter((row) => isBehind(row, head));
  const ages = await ageOfTransactions(reader, [...new Set(behind.map(nextOf))]);
  const proxies = latest.map((row) => {
    const lag = row.appliedSequence < head.sequence ? head.sequence - row.appliedSequence : 0n;
    const hasAll = lag === 0n && row.appliedEpoch === head.epoch;
    const lagMs = hasAll ? 0 : isBehind(row, head) ? ages.get(nextOf(row)) : undefined;
    const live = row.revokeTime === null && isLive(row.lastSeenTime?.getTime() ?? null, nowMs);
    return proxyToProto(instanceOf(row), { lag, lagMs, live, connected: isConnected(proxyName(row.id)) });
  });
  return { proxies, headSequence: head.sequence };
}

/** One, read before. */
export async function describeProxy(
  reader: Reader,
  row: ProxyRow,
  presence: Presence,
  nowMs: number,
): Promise<ProxyMessage> {
  const [proxy] = (await describeProxies(reader, [row], presence, nowMs)).proxies;
  return required(proxy);
}

/** In the same history, where sequences can be compared. */
const isBehind = ({ appliedEpoch, appliedSequence }: ProxyRow, head: ConfigHead): boolean =>
  appliedEpoch === head.epoch && appliedSequence < head.sequence;
