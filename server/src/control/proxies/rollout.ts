import { create } from "@bufbuild/protobuf";
import { type Rollout as RolloutMessage, RolloutSchema } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { proxyName } from "../../model/resource-name.ts";
import { type RolloutState, rolloutOf, type StandingProxy } from "../../policy/rollout.ts";
import { type ConfigHead, getConfigHead, knownHead } from "../../store/config-head.ts";
import { proxyStandings, type StandingRow } from "../../store/proxies.ts";
import { rejectedToProto } from "../../wire/proxy.ts";
import type { Deps } from "../deps.ts";
import { type ProxyStatuses, withLatest } from "../proxy-status.ts";

/** How far things have come, as this replica knows it. */
export interface Rollouts {
  /** @param sequence 0 = the head; asks the database */
  read(sequence: bigint): Promise<RolloutState>;
  /**
   * Resolves when every live proxy has applied the sequence, after `timeoutMs`, or when the signal aborts: with what is
   * known then. What this replica is told counts at once, what others are told within about two seconds.
   */
  wait(sequence: bigint, timeoutMs: number, signal: AbortSignal): Promise<RolloutState>;
}

/** What the database says; reports to this replica are laid over it. */
interface Base {
  readonly head: ConfigHead;
  readonly rows: readonly StandingRow[];
}

/** Between two looks at the database, shared by all who wait: other replicas hear of other proxies. */
const POLL_MS = 500;
/** Ten thousand proxies report within a second: they are counted again this seldom. */
const COUNT_MS = 20;

export function createRollouts({ store, clock }: Pick<Deps, "store" | "clock">, statuses: ProxyStatuses): Rollouts {
  let looking: Promise<Base> | undefined;

  const look = (): Promise<Base> =>
    store.read(async (reader) => {
      const rows = await proxyStandings(reader);
      // After the rows: a proxy may be ahead of an older head, never of this one.
      return { head: knownHead(await getConfigHead(reader)), rows };
    });

  /** One look serves all who wait. */
  function lookTogether(): Promise<Base> {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    return looking;
  }

  const count = ({ head, rows }: Base, sequence: bigint): RolloutState =>
    rolloutOf(
      { epoch: head.epoch, sequence: sequence || head.sequence, headSequence: head.sequence },
      rows.map((row) => standingOf(withLatest(row, statuses))),
      clock.now(),
    );

  /** Counts at each report until it is time to look again. */
  async function untilNextLook(base: Base, sequence: bigint, signal: AbortSignal): Promise<RolloutState> {
    for (;;) {
      const state = count(base, sequence);
      if (state.isComplete || signal.aborted) return state;
      await statuses.nextReport(signal);
      if (count(base, sequence).isComplete) continue;
      await pause(COUNT_MS, signal);
    }
  }

  return {
    read: async (sequence) => count(await look(), sequence),
    async wait(wanted, timeoutMs, signal) {
      const end = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      let base = await look();
      const sequence = wanted || base.head.sequence;
      for (;;) {
        const state = await untilNextLook(base, sequence, AbortSignal.any([end, AbortSignal.timeout(POLL_MS)]));
        if (state.isComplete || end.aborted) return state;
        base = await lookTogether();
      }
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}

const standingOf = ({ id, lastSeenTime, ...row }: StandingRow): StandingProxy => ({
  ...row,
  name: proxyName(id),
  lastSeenTimeMs: lastSeenTime?.getTime() ?? null,
});

/** Names and rejections in one answer. */
const SHOWN_MAX = 100;

export function rolloutToProto({ isComplete, missing, rejections, ...counts }: RolloutState): RolloutMessage {
  return create(RolloutSchema, {
    ...counts,
    complete: isComplete,
    missing: missing.length,
    missingProxies: missing.slice(0, SHOWN_MAX),
    rejections: rejections
      .slice(0, SHOWN_MAX)
      .map(({ proxy, resource }) => ({ proxy, resource: rejectedToProto(resource) })),
  });
}
