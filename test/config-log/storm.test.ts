import { fromBinary } from "@bufbuild/protobuf";
import { WatchConfigResponseSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { UNOBSERVED } from "../../server/src/config-log/observer.ts";
import type { Store } from "../../server/src/store/store.ts";
import { openTestStore } from "../support/store.ts";
import { commit, databaseState, makeHub, Replica, upsert } from "./changes.ts";
import { helloOf, RESUMED, running, soon, synced, watch } from "./running-hubs.ts";

const kindOf = (bytes: Uint8Array | undefined) => bytes && fromBinary(WatchConfigResponseSchema, bytes).event.case;

let opened: Store;
const store = () => opened;
beforeAll(async () => {
  opened = await openTestStore("postgres");
}, 60_000);
afterAll(() => opened.close());

describe("when many reconnect at once", () => {
  test("who resumes is served, who needs a snapshot waits after its greeting, and who would wait too long is refused before it", async () => {
    const observer = { ...UNOBSERVED, snapshotBuilt: vi.fn(), refused: vi.fn() };
    const admissionLimits = { atOnce: 1, waitingMax: 1, waitMaxMs: 20_000 };
    const hub = await makeHub(store(), { admissionLimits, observer });
    await hub.start();
    running.push(hub);
    await commit(store(), upsert("a", "1"));
    const known = await synced(hub, store());
    // Has taken its greeting and a part of the snapshot, and reads no further.
    const slow = watch(hub)[Symbol.asyncIterator]();
    expect([kindOf((await slow.next()).value), kindOf((await slow.next()).value)]).toEqual(["hello", "snapshot"]);
    const waiting = new Replica();
    const following = waiting.follow(watch(hub), () => waiting.events.includes("snapshot"));
    await soon(() => expect(waiting.events).toEqual(["hello"]));
    const third = new Replica();
    await expect(third.follow(watch(hub), () => true)).rejects.toMatchObject({
      code: "rate_limited",
      kind: { grpc: "resource_exhausted", retryable: true },
      retryAfterSeconds: 5,
    });
    expect(third.events).toEqual([]);
    expect(observer.refused).toHaveBeenCalledOnce();
    const resumed = new Replica();
    await resumed.follow(watch(hub, known.cursor()), () => true);
    expect(helloOf(resumed)).toEqual(RESUMED);
    await slow.return?.(undefined);
    await following;
    expect(waiting.digest).toEqual((await databaseState(store())).digest);
    // All of them had the same one.
    expect(observer.snapshotBuilt).toHaveBeenCalledOnce();
  });
});
