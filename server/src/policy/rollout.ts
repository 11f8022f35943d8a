import type { RejectedResource } from "../model/proxy.ts";

/** Three heartbeats: a proxy that has not been heard of for so long is not counted on. */
export const LIVE_WITHIN_MS = 30_000;

/** Whether a proxy counts in rollouts. @param lastSeenTimeMs null = it never reported */
export const isLive = (lastSeenTimeMs: number | null, nowMs: number): boolean =>
  lastSeenTimeMs !== null && nowMs - lastSeenTimeMs <= LIVE_WITHIN_MS;

/** Where a proxy stands. */
export interface StandingProxy {
  readonly name: string;
  readonly appliedEpoch: string;
  readonly appliedSequence: bigint;
  readonly rejected: readonly RejectedResource[];
  /** Null = it never reported. */
  readonly lastSeenTimeMs: number | null;
}

/** What is asked about, and where the log is. */
export interface RolloutTarget {
  readonly epoch: string;
  readonly sequence: bigint;
  readonly headSequence: bigint;
}

/** How far a sequence of the configuration has come. */
export interface RolloutState extends RolloutTarget {
  /** Every live proxy has applied it. Without any that is so, too: `live` says it. */
  readonly isComplete: boolean;
  readonly live: number;
  readonly applied: number;
  readonly rejecting: number;
  readonly gone: number;
  /** Names of all live proxies that have not applied it. */
  readonly missing: readonly string[];
  readonly rejections: readonly { readonly proxy: string; readonly resource: RejectedResource }[];
}

/** Counts. What a proxy rejected later than the sequence is nothing of it. */
export function rolloutOf(target: RolloutTarget, proxies: Iterable<StandingProxy>, nowMs: number): RolloutState {
  const missing: string[] = [];
  const rejections: RolloutState["rejections"][number][] = [];
  let [live, rejecting, gone] = [0, 0, 0];
  for (const proxy of proxies) {
    if (!isLive(proxy.lastSeenTimeMs, nowMs)) {
      gone += 1;
      continue;
    }
    live += 1;
    if (proxy.appliedEpoch !== target.epoch || proxy.appliedSequence < target.sequence) {
      missing.push(proxy.name);
      continue;
    }
    const rejected = proxy.rejected.filter(({ version }) => BigInt(version) <= target.sequence);
    if (rejected.length > 0) rejecting += 1;
    for (const resource of rejected) rejections.push({ proxy: proxy.name, resource });
  }
  const isComplete = missing.length === 0 && target.headSequence >= target.sequence;
  return { ...target, isComplete, live, applied: live - missing.length, rejecting, gone, missing, rejections };
}
