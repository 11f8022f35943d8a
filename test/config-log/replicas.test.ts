import { describe, expect, test } from "vitest";
import { openTestStore } from "../support/store.ts";
import { commit, databaseState, makeHub, Replica, remove, upsert } from "./changes.ts";
import { helloOf, RESUMED, running, soon, startHub, watch } from "./running-hubs.ts";

describe("two replicas (PostgreSQL)", () => {
  test("hand on the same changes in the same order, whichever wrote", async () => {
    const store = await openTestStore("postgres");
    const hubs = [await startHub(store), await startHub(store)];
    const replicas = hubs.map(() => new Replica());
    const following = replicas.map((replica, index) =>
      replica.follow(watch(hubs[index]!), () => replica.sequence === 50n),
    );
    await soon(() => expect(replicas.every(({ events }) => events.includes("snapshot"))).toBe(true));
    for (let index = 0; index < 50; index += 1) await commit(store, upsert(`x${index % 9}`, `${index}`));
    await Promise.all(following);
    const { digest } = await databaseState(store);
    for (const replica of replicas) expect(replica.digest).toEqual(digest);
    await Promise.all(running.splice(0).map((hub) => hub.stop()));
    await store.close();
  });

  test("send what was committed while they were busy as one change, of which nothing in between is seen", async () => {
    const store = await openTestStore("postgres");
    const hub = await makeHub({ ...store, onWake: () => () => {} });
    await hub.start();
    running.push(hub);
    const [together, apart] = [new Replica(), new Replica()];
    const following = together.follow(watch(hub), () => together.sequence === 30n);
    await soon(() => expect(together.events).toContain("snapshot"));
    const first = await commit(store, upsert("a", "1"));
    // A reader from another replica stands in the middle of it.
    const other = await startHub(store);
    await apart.follow(watch(other), () => apart.sequence === first);
    for (let index = 0; index < 29; index += 1)
      await commit(store, index % 3 === 2 ? remove("a") : upsert("a", `${index}`));
    await following;
    await apart.follow(watch(hub, apart.cursor()), () => apart.sequence === 30n);
    expect(helloOf(apart)).toEqual(RESUMED);
    const deltas = (replica: Replica) => replica.events.filter((event) => event === "delta").length;
    expect(deltas(together)).toBeLessThan(30);
    const { digest } = await databaseState(store);
    for (const replica of [together, apart]) expect(replica.digest).toEqual(digest);
    await Promise.all(running.splice(0).map((it) => it.stop()));
    await store.close();
  });
});
