import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { ConduitError } from "../model/errors.ts";
import { idOf } from "../model/resource-name.ts";
import type { Random } from "../random.ts";
import { tryTask } from "../store/advisory-lock.ts";
import { forgetExpired } from "../store/forget-expired.ts";
import { isProxyRevoked } from "../store/proxies.ts";
import type { Store } from "../store/store.ts";
import { type AdmissionLimits, createAdmission } from "./admission.ts";
import { compactLog } from "./compact.ts";
import type { Fleet } from "./fleet.ts";
import { createFollowedLog } from "./live-log.ts";
import { type HubObserver, UNOBSERVED } from "./observer.ts";
import type { ConfigCursor } from "./resume.ts";
import type { RingLimits } from "./ring.ts";
import { createSnapshots } from "./snapshot.ts";
import { createTail, type Tail } from "./tail.ts";
import { HEARTBEAT_INTERVAL_MS, type WatchOptions, watchLog } from "./watch.ts";

/** Hands the configuration to the proxies that are connected to this replica. */
export interface ConfigHub {
  /**
   * Reads the log's end and begins to follow it; once an hour deletes what has expired.
   * @throws ConduitError `store_unavailable`
   */
  start(): Promise<void>;
  /** Tells every stream to drain and stops following; streams end when their readers have taken what is left. */
  stop(): Promise<void>;
  /** Where this replica is in the log. @throws ConduitError `not_ready` before `start` */
  head(): ConfigCursor;
  /** A proxy's stream of encoded `WatchConfigResponse`s (watch.ts). */
  watch(options: WatchOptions): AsyncIterable<Uint8Array>;
  /** Whether a proxy (resource name) has a stream here. */
  isConnected(proxyName: string): boolean;
}

export interface ConfigHubOptions {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Default: nobody counts. */
  readonly observer?: HubObserver;
  /** For tests. */
  readonly ringLimits?: RingLimits;
  /** For tests. */
  readonly admissionLimits?: AdmissionLimits;
}

/** Without a notification, changes of other replicas are found after this time. */
const POLL_INTERVAL_MS = 1_000;
const TIDY_INTERVAL_MS = 3_600_000;

/** The hub of one replica. */
export function createConfigHub(options: ConfigHubOptions): ConfigHub {
  const { store, fleet, clock, random, log, ringLimits, observer = UNOBSERVED } = options;
  const limits = ringLimits === undefined ? {} : { limits: ringLimits };
  const followed = createFollowedLog({ clock, tail: (): Tail => tail, observer, ...limits });
  const tail = createTail({ store, random, log, epochBegins: () => fleet.refresh() }, followed.follower);
  const snapshots = createSnapshots(store, () => clock.monotonic(), observer.snapshotBuilt);
  const admit = async (proxyName: string): Promise<void> => {
    const isRevoked = await store.read((reader) => isProxyRevoked(reader, idOf(proxyName)));
    if (isRevoked) throw new ConduitError("proxy_revoked");
  };
  const effects = { admit, fleet, snapshots, admission: createAdmission(options.admissionLimits), clock, observer };
  const streams = new Map<string, number>();
  const endings: (() => void)[] = [];
  let isFailing = false;

  async function followOn(): Promise<void> {
    try {
      await tail.catchUp();
      isFailing = false;
    } catch (err) {
      // Once per outage: it is tried again every second.
      if (!isFailing) log.warn({ err }, "the configuration log cannot be read; streams go on with what they have");
      isFailing = true;
    }
  }

  function every(intervalMs: number, act: () => void): void {
    const timer = setInterval(act, intervalMs);
    timer.unref();
    endings.push(() => clearInterval(timer));
  }

  async function tidy(): Promise<void> {
    try {
      await compactLog(store, clock);
      const now = new Date(clock.now());
      await store.transaction(async (tx) => void ((await tryTask(tx, "tidy")) && (await forgetExpired(tx, now))));
    } catch (err) {
      log.warn({ err }, "old rows could not be deleted; tried again in an hour");
    }
  }

  /** Looks without having been told: notifications are a hint only. */
  async function look(): Promise<void> {
    const before = followed.live.ring.head();
    await followOn();
    if (followed.live.ring.head() !== before) observer.foundUnasked();
  }

  async function* watch(options: WatchOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { proxyName } = options;
    if (followed.live.epoch === "") throw new ConduitError("not_ready");
    streams.set(proxyName, (streams.get(proxyName) ?? 0) + 1);
    try {
      for await (const frame of watchLog(options, followed.live, effects)) {
        observer.sent(frame.length);
        yield frame;
      }
    } finally {
      const others = (streams.get(proxyName) ?? 1) - 1;
      if (others > 0) streams.set(proxyName, others);
      else streams.delete(proxyName);
    }
  }

  return {
    async start() {
      await tail.start();
      endings.push(store.onWake(() => void followOn()));
      every(POLL_INTERVAL_MS, () => void look());
      every(HEARTBEAT_INTERVAL_MS, () => followed.beat());
      every(TIDY_INTERVAL_MS, () => void tidy());
    },
    async stop() {
      for (const end of endings.splice(0)) end();
      followed.drain();
      // Nothing of ours uses the store after this.
      await followOn();
    },
    head() {
      const { epoch, ring } = followed.live;
      if (epoch === "") throw new ConduitError("not_ready");
      return { epoch, ...positionOf(ring.head()) };
    },
    watch,
    isConnected: (proxyName) => streams.has(proxyName),
  };
}

const positionOf = ({ sequence, digest }: Omit<ConfigCursor, "epoch">) => ({ sequence, digest });
