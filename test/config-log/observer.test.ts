import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createControlMetrics } from "../../server/src/run/control-metrics.ts";
import type { Store } from "../../server/src/store/store.ts";
import { openTestStore } from "../support/store.ts";
import { commit, databaseState, makeHub, Replica, upsert } from "./changes.ts";
import { open, running, soon, watch } from "./running-hubs.ts";

/** Name, with its labels, → value. */
async function valuesOf(registry: Registry): Promise<ReadonlyMap<string, number>> {
  const lines = (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice("conduit_control_config_".length).split(" ")[0]!, Number(line.split(" ")[1])]),
  );
}

let opened: Store;
const store = () => opened;
beforeAll(async () => {
  opened = await openTestStore("postgres");
}, 60_000);
afterAll(() => opened.close());

describe("the hub", () => {
  test("the metrics tell of streams and why they needed a snapshot, of bytes, and of changes found without notification", async () => {
    const registry = new Registry();
    const observer = createControlMetrics(registry, () => Number(hub.head().sequence));
    const hub = await makeHub({ ...store(), onWake: () => () => {} }, { observer });
    await hub.start();
    running.push(hub);
    const replica = new Replica();
    const reader = new AbortController();
    const following = replica.follow(watch(hub, undefined, reader.signal), () => false);
    await soon(() => expect(replica.events).toContain("snapshot"));
    const sequence = await commit(store(), upsert("a", "1"));
    await soon(() => expect(replica.sequence).toBe(sequence));
    const during = await valuesOf(registry);
    expect(Object.fromEntries(during)).toMatchObject({
      sequence: 1,
      streams: 1,
      resumes_total: 0,
      'resyncs_total{reason="cold_start"}': 1,
      'resyncs_total{reason="digest_mismatch"}': 0,
      unnotified_reads_total: 1,
      snapshot_build_seconds_count: 1,
      tail_lag_seconds_count: 1,
      fall_offs_total: 0,
      refused_streams_total: 0,
    });
    expect(during.get("sent_bytes_total")).toBeGreaterThan(100);
    reader.abort();
    await following;
    await replica.follow(watch(hub, replica.cursor(), open()), () => true);
    const after = await valuesOf(registry);
    expect([after.get("streams"), after.get("resumes_total")]).toEqual([0, 1]);
    expect((await databaseState(store())).digest).toEqual(replica.digest);
  });
});
