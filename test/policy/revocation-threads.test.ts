// One table per process: other threads read it while one writes, and never see half a change.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { keyOfTarget, keysOfToken, revocationStreamName } from "../../server/src/model/revocation.ts";
import { RevocationIndex } from "../../server/src/policy/revocation.ts";
import type { ReaderAnswer, ReaderOrder } from "./revocation-reader-thread.ts";

const token = (jti: string) =>
  keysOfToken({ project: "p", link: "l", issuer: "i", kid: undefined, sid: undefined, sub: undefined, jti });
const held = (id: string) => ({
  name: revocationStreamName(id),
  version: 1n,
  entry: { targetKey: keyOfTarget({ kind: "token", project: "p", id }), issuedBeforeS: undefined, expireTimeS: 100 },
});

test("a revocation that is held is never missed by a reader, nor one invented, while the table grows and shrinks", async () => {
  const index = new RevocationIndex();
  const [others, throughout] = [Array.from({ length: 20_000 }, (_, at) => held(`j${at}`)), held("throughout")];
  index.set(throughout);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const workerData: ReaderOrder = { memory: index.memory, revoked: token("throughout"), valid: token("valid"), stop };
  const thread = new Worker(new URL("./revocation-reader-thread.ts", import.meta.url), {
    workerData,
    execArgv: ["--conditions=conduit-source"],
  });
  await once(thread, "message");
  for (let round = 0; round < 4; round += 1) {
    for (const other of others) index.set(other);
    for (const { name } of others) index.delete(name);
  }
  const answer = once(thread, "message");
  Atomics.store(stop, 0, 1);
  const [{ rounds, missed, invented }] = (await answer) as [ReaderAnswer];
  expect([missed, invented, index.size]).toEqual([0, 0, 1]);
  expect(rounds).toBeGreaterThan(10);
});
