// The fleet has another key once a proxy was revoked: it comes with a Hello, and its snapshot with it.
import { fromBinary } from "@bufbuild/protobuf";
import { WatchConfigResponseSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { pino } from "pino";
import { expect, test } from "vitest";
import { systemClock } from "../../../server/src/clock.ts";
import { JwksSources } from "../../../server/src/jwt/jwks.ts";
import { type Applied, ConfigReceiver } from "../../../server/src/proxy/config/apply.ts";
import { CompiledLinks } from "../../../server/src/proxy/config/compiled-links.ts";
import { sealingKey } from "../../../server/src/sealing/sealing-key.ts";
import { LINK_ID } from "../harness.ts";
import { demoResources, FakeLog, sealedSecret } from "./fake-control.ts";

const BASE = "http://127.0.0.1:9";
const other = sealingKey(Buffer.alloc(32, 9));

/** A receiver that holds what a log says. */
function holding(log: FakeLog) {
  const fetchJson = () => Promise.reject(new Error("no JWKS here"));
  const links = new CompiledLinks(new JwksSources({ fetchJson, clock: systemClock, log: pino({ level: "silent" }) }));
  // No slice ends: every event is applied before `receive` returns.
  const it = new ConfigReceiver(links, { ...systemClock, monotonic: () => 0 });
  const receive = (bytes: Uint8Array) => it.receive(fromBinary(WatchConfigResponseSchema, bytes)) as Applied;
  receive(log.hello(true));
  for (const chunk of log.snapshot()) receive(chunk);
  return { links, receiver: it, receive };
}

function demoLog(): FakeLog {
  const log = new FakeLog();
  log.commit(...demoResources(BASE));
  return log;
}

test("it counts from its snapshot on, and until then the old one belongs to what is held", () => {
  const log = demoLog();
  const { links, receiver, receive } = holding(log);
  const before = receiver.fleet;
  const next = new FakeLog("epoch-2");
  next.skip(log.sequence);
  next.commit(...demoResources(BASE, {}, other));
  receive(next.hello(true, 10_000, other));
  const chunks = next.snapshot();
  for (const chunk of chunks.slice(0, -1)) receive(chunk);
  expect(receiver.fleet).toBe(before);
  expect(links.link(LINK_ID)).toBeDefined();
  expect(receive(chunks.at(-1)!)).toEqual({ result: "applied", whole: true });
  expect(receiver.fleet?.fleetKey.id).toBe(other.id);
  expect([links.link(LINK_ID) !== undefined, links.rejected()]).toEqual([true, []]);
  expect(receive(next.commit(sealedSecret("key", "a new one", other)))).toEqual({ result: "applied", whole: false });
  expect(links.rejected()).toEqual([]);
});

test("it does not go with a state that is resumed: that is asked for anew", () => {
  const log = demoLog();
  const { receive } = holding(log);
  expect(receive(log.hello(false, 10_000, other))).toMatchObject({ result: "resync", kind: "sequence" });
  expect(receive(log.hello(false))).toEqual({ result: "nothing" });
});
