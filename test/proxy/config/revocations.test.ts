// Revocations in the config stream: held once, in the index that stage 6 asks, and part of the state's digest like all else.
import { fromBinary } from "@bufbuild/protobuf";
import { WatchConfigResponseSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { pino } from "pino";
import { expect, test } from "vitest";
import { systemClock } from "../../../server/src/clock.ts";
import { encodeDelta } from "../../../server/src/config-log/frames.ts";
import { JwksSources } from "../../../server/src/jwt/jwks.ts";
import type { ConfigResource } from "../../../server/src/model/config-resource.ts";
import { revocationEntryOf, revocationStreamName } from "../../../server/src/model/revocation.ts";
import { type Applied, ConfigReceiver } from "../../../server/src/proxy/config/apply.ts";
import { CompiledLinks } from "../../../server/src/proxy/config/compiled-links.ts";
import { HeldState } from "../../../server/src/proxy/config/state.ts";
import { NOW_MS } from "../../judge/sample.ts";
import { demoResources, FakeLog } from "./fake-control.ts";

/** No slice ends: every event is applied before `receive` returns. */
const stopped = { ...systemClock, monotonic: () => 0 };

function receiver() {
  const fetchJson = () => Promise.reject(new Error("no JWKS here"));
  const log = pino({ level: "silent" });
  const links = new CompiledLinks(new JwksSources({ fetchJson, clock: systemClock, log }));
  const it = new ConfigReceiver(links, stopped);
  const receive = (bytes: Uint8Array) => it.receive(fromBinary(WatchConfigResponseSchema, bytes)) as Applied;
  const greet = (from: FakeLog) => {
    receive(from.hello(true));
    return from.snapshot().map(receive).at(-1);
  };
  return { links, receiver: it, receive, greet };
}

const revocationOf = (id: string): ConfigResource & { kind: "revocation" } => ({
  kind: "revocation",
  name: revocationStreamName(`projects/demo/revocations/${id}`),
  revocation: revocationEntryOf({ target: { kind: "token", project: "demo", id }, expireTimeMs: NOW_MS + 1000 }),
});
const goneOf = (id: string) => ({ kind: "revocation" as const, name: revocationOf(id).name, gone: true as const });

test("come and go by deltas and snapshots, and the digest is the control plane's throughout", () => {
  const log = new FakeLog();
  log.commit(...demoResources("http://127.0.0.1:9"), revocationOf("a"), revocationOf("b"));
  const { links, receive, greet } = receiver();
  expect(greet(log)).toEqual(expect.objectContaining({ result: "applied" }));
  const held = () => [...links.revocations.entries()].map(({ name }) => name).sort();
  const named = (...ids: string[]) => ids.map((id) => revocationOf(id).name).sort();
  expect(held()).toEqual(named("a", "b"));
  expect(receive(log.commit(revocationOf("c"), goneOf("a")))).toEqual(expect.objectContaining({ result: "applied" }));
  expect(held()).toEqual(named("b", "c"));
  expect(receive(log.commit(goneOf("never there")))).toEqual(expect.objectContaining({ result: "applied" }));
  log.commit(goneOf("b"), revocationOf("d"));
  expect(greet(log)).toEqual(expect.objectContaining({ result: "applied" }));
  expect(held()).toEqual(named("c", "d"));
});

test("are kept for a cold start: another process takes them over as they came", async () => {
  const log = new FakeLog();
  log.commit(...demoResources("http://127.0.0.1:9"), revocationOf("a"));
  const first = receiver();
  first.greet(log);
  const second = receiver();
  const { fleet, cursor } = first.receiver;
  const state = new HeldState(second.links.revocations.emptyTwin());
  for (const resource of first.receiver.resources()) state.put(resource);
  state.moveTo(cursor!.epoch, cursor!.sequence);
  await second.receiver.restore(fleet!, state);
  expect([...second.links.revocations.entries()]).toEqual([...first.links.revocations.entries()]);
  expect(second.receiver.cursor).toEqual(cursor);
  second.receive(log.hello(false));
  expect(second.receive(log.commit(revocationOf("b")))).toEqual(expect.objectContaining({ result: "applied" }));
});

test("one that cannot be read is rejected by itself, counts in the digest, and is gone when it is deleted", () => {
  const log = new FakeLog();
  log.commit(...demoResources("http://127.0.0.1:9"));
  const { links, receive, greet, receiver: it } = receiver();
  greet(log);
  const { name } = revocationOf("a");
  const entry = { kind: "revocation" as const, name, version: 2n, payload: new Uint8Array([8, 1]) };
  const digest = new Uint8Array(32);
  const frame = encodeDelta({ sequence: 2n, digest, commitTime: new Date(0), entries: [entry] });
  expect(receive(frame)).toMatchObject({ result: "resync" });
  expect(links.rejected()).toEqual([{ name, version: "2", message: expect.any(String) }]);
  expect([...it.resources()]).toContainEqual(entry);
  expect(links.revocations.size).toBe(0);
  log.skip(1n);
  expect(receive(log.commit(goneOf("a")))).toEqual(expect.objectContaining({ result: "applied" }));
  expect(links.rejected()).toEqual([]);
});
