// Hubs of a test, stopped after it, and readers of their streams.
import { Hello_Mode, Hello_SnapshotReason } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { afterEach, expect, vi } from "vitest";
import type { ConfigHub } from "../../server/src/config-log/hub.ts";
import type { ConfigCursor } from "../../server/src/config-log/resume.ts";
import type { RingLimits } from "../../server/src/config-log/ring.ts";
import type { Store } from "../../server/src/store/store.ts";
import { databaseState, makeHub, Replica } from "./changes.ts";

export const running: ConfigHub[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(running.splice(0).map((hub) => hub.stop()));
});

export async function startHub(store: Store, ringLimits?: RingLimits): Promise<ConfigHub> {
  const hub = await makeHub(store, ringLimits && { ringLimits });
  await hub.start();
  running.push(hub);
  return hub;
}

/** Machines may be busy: what should be at once may take a while, and must come. */
export const soon = <T>(act: () => T | Promise<T>) => vi.waitFor(act, { timeout: 8_000, interval: 20 });
export const open = (): AbortSignal => new AbortController().signal;
export const watch = (hub: ConfigHub, resumeFrom?: ConfigCursor, signal = open()) =>
  hub.watch({ proxyName: "proxies/test", signal, ...(resumeFrom && { resumeFrom }) });
/** A replica that is where the database is. */
export async function synced(hub: ConfigHub, store: Store): Promise<Replica> {
  const replica = new Replica();
  const { head } = await databaseState(store);
  await replica.follow(watch(hub), () => replica.sequence === head.sequence);
  return replica;
}
export const reach = (hub: ConfigHub, sequence: bigint) => soon(() => expect(hub.head().sequence).toBe(sequence));
export const helloOf = (replica: Replica) =>
  replica.hello && { mode: replica.hello.mode, reason: replica.hello.snapshotReason };
export const isSnapshotFor = (reason: Hello_SnapshotReason) => ({ mode: Hello_Mode.SNAPSHOT, reason });
export const RESUMED = { mode: Hello_Mode.RESUME, reason: Hello_SnapshotReason.UNSPECIFIED };
