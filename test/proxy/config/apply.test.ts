// promises.md R2, R3: the configuration in force is one whole version, and every lost or reordered change is noticed.
import { fromBinary } from "@bufbuild/protobuf";
import { type WatchConfigResponse, WatchConfigResponseSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../server/src/clock.ts";
import { encodeHeartbeat } from "../../../server/src/config-log/frames.ts";
import { JwksSources } from "../../../server/src/jwt/jwks.ts";
import type { ConfigResource } from "../../../server/src/model/config-resource.ts";
import { type Applied, ConfigReceiver } from "../../../server/src/proxy/config/apply.ts";
import { CompiledLinks } from "../../../server/src/proxy/config/compiled-links.ts";
import { ISSUER, LINK_ID, LINK_NAME, LINK_TOKEN, linkOf, linkTokenOf } from "../harness.ts";
import { demoResources, FakeLog, sealedSecret } from "./fake-control.ts";

const BASE = "http://127.0.0.1:9";

/** No slice ends: every event is applied before `receive` returns. */
const stopped = { ...systemClock, monotonic: () => 0 };

function receiver() {
  const fetchJson = () => Promise.reject(new Error("no JWKS here"));
  const links = new CompiledLinks(new JwksSources({ fetchJson, clock: systemClock, log: pino({ level: "silent" }) }));
  const it = new ConfigReceiver(links, stopped);
  const receive = (bytes: Uint8Array) =>
    it.receive(fromBinary(WatchConfigResponseSchema, bytes) as WatchConfigResponse) as Applied;
  const greet = (log: FakeLog) => {
    receive(log.hello(true));
    return log.snapshot().map(receive).at(-1);
  };
  return { links, receiver: it, receive, greet };
}

const link = (changes: Parameters<typeof linkOf>[1]): ConfigResource => ({
  kind: "link",
  name: LINK_NAME,
  link: linkOf(BASE, changes),
});
const tokens = (links: CompiledLinks) => links.link(LINK_ID)?.judged.linkTokens;

test("a snapshot is in force only when its last part has come", () => {
  const log = new FakeLog();
  log.commit(...demoResources(BASE));
  const { links, receive, receiver: it } = receiver();
  receive(log.hello(true));
  const chunks = log.snapshot();
  for (const chunk of chunks.slice(0, -1)) {
    expect(receive(chunk)).toEqual({ result: "nothing" });
    expect([links.isReady, links.link(LINK_ID)]).toEqual([false, undefined]);
  }
  expect(receive(chunks.at(-1)!)).toEqual(expect.objectContaining({ result: "applied" }));
  expect(links.isReady).toBe(true);
  expect(links.pseudonym).toBe("conduit-0123abcd");
  expect(tokens(links)?.find(LINK_TOKEN)).toBeDefined();
  expect(it.cursor).toMatchObject({ epoch: "epoch-1", sequence: 1n });
});

describe("a change", () => {
  test("is applied whole, and what does not change keeps its object", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, receive, greet } = receiver();
    greet(log);
    const before = links.link(LINK_ID);
    expect(receive(log.commit(link({ displayName: "new" })))).toEqual(expect.objectContaining({ result: "applied" }));
    expect(links.link(LINK_ID)?.judged.link.displayName).toBe("new");
    expect(before?.judged.link.displayName).toBe("");
    const untouched = links.link(LINK_ID);
    receive(log.commit(sealedSecret("other", "x")));
    expect(links.link(LINK_ID)).toBe(untouched);
  });

  test("of a token, an issuer or a secret changes the link that uses it", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, receive, greet } = receiver();
    greet(log);
    const seen = [links.link(LINK_ID)];
    receive(log.commit(sealedSecret("key", "another key")));
    seen.push(links.link(LINK_ID));
    receive(log.commit(sealedSecret("hmac", "another HMAC secret of more than thirty-two bytes")));
    seen.push(links.link(LINK_ID));
    receive(log.commit({ kind: "issuer", name: ISSUER.name, issuer: { ...ISSUER, expLeewayMs: 1 } }));
    seen.push(links.link(LINK_ID));
    receive(log.commit({ kind: "link_token", name: linkTokenOf().name, gone: true }));
    seen.push(links.link(LINK_ID));
    expect(new Set(seen).size).toBe(5);
    expect(tokens(links)?.find(LINK_TOKEN)).toBeUndefined();
  });

  test("that deletes a link takes it out of service", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, receive, greet } = receiver();
    greet(log);
    receive(log.commit({ kind: "link", name: LINK_NAME, gone: true }));
    expect(links.link(LINK_ID)).toBeUndefined();
  });

  test.each([
    ["lost", (log: FakeLog) => void log.commit(sealedSecret("lost", "x"))],
    ["of another history", (log: FakeLog) => log.skip(5n)],
  ])("%s is noticed", (_what, happen) => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { receive, greet } = receiver();
    greet(log);
    happen(log);
    expect(receive(log.commit(link({ displayName: "new" }))).result).toBe("resync");
  });

  test("whose digest differs is noticed, with the change or by the next heartbeat", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { receive, greet } = receiver();
    greet(log);
    expect(receive(encodeHeartbeat(log.sequence, log.digest, 0))).toEqual({ result: "nothing" });
    expect(receive(encodeHeartbeat(log.sequence, new Uint8Array(32), 0)).result).toBe("resync");
  });
});

describe("a resource that cannot be applied", () => {
  test("is rejected by itself: the rest is applied, the version before stays, revocations go on", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, receive, greet } = receiver();
    greet(log);
    const bad = link({
      displayName: "bad",
      rules: [{ effect: "ALLOW", methods: [], path: "/{jwt.", query: {}, claims: [], message: "" }],
    });
    const gone = { kind: "link_token" as const, name: linkTokenOf().name, gone: true as const };
    expect(receive(log.commit(bad, gone))).toEqual(expect.objectContaining({ result: "applied" }));
    expect(links.rejected()).toMatchObject([{ name: LINK_NAME, version: "2" }]);
    expect(links.link(LINK_ID)?.judged.link.displayName).toBe("");
    expect(tokens(links)?.find(LINK_TOKEN)).toBeUndefined();
    expect(receive(log.commit(link({ displayName: "good" })))).toEqual(expect.objectContaining({ result: "applied" }));
    expect(links.rejected()).toEqual([]);
    expect(links.link(LINK_ID)?.judged.link.displayName).toBe("good");
  });

  test("as a secret keeps its old value, and names no value", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, receive, greet } = receiver();
    greet(log);
    receive(log.commit(sealedSecret("key", "line\r\nbreak-canary")));
    expect(links.rejected()).toMatchObject([{ name: "projects/demo/secrets/key" }]);
    expect(JSON.stringify(links.rejected())).not.toContain("canary");
    const lines: string[] = [];
    links.link(LINK_ID)?.attach.credential.addHeaders(lines);
    expect(lines).toEqual(["X-API-Key", "sk-hidden-4f7a9c21d8"]);
  });

  test("gets a second chance when what it needs has changed", () => {
    const log = new FakeLog();
    const [key, hmac, ...others] = demoResources(BASE);
    log.commit(sealedSecret("key", "line\nbreak"), hmac!, ...others);
    const { links, receive, greet } = receiver();
    greet(log);
    expect(links.link(LINK_ID)).toBeUndefined();
    receive(log.commit(key!));
    expect(links.rejected()).toEqual([]);
    expect(links.link(LINK_ID)).toBeDefined();
  });
});

describe("a snapshot", () => {
  test("that is not complete is refused and changes nothing", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, receive, greet } = receiver();
    greet(log);
    const truth = log.snapshot();
    receive(log.hello(true));
    receive(truth[0]!);
    expect(receive(truth[2]!).result).toBe("resync");
    receive(log.hello(true));
    const empty = new FakeLog().snapshot()[0]!;
    const lying = fromBinary(WatchConfigResponseSchema, empty);
    if (lying.event.case === "snapshot") lying.event.value.totalResources = 5n;
    expect((receiver().receiver.receive(lying) as Applied).result).toBe("resync");
    expect(links.link(LINK_ID)).toBeDefined();
  });

  test("that says it is empty is believed", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, greet } = receiver();
    greet(log);
    expect(greet(new FakeLog("epoch-2"))).toEqual(expect.objectContaining({ result: "applied" }));
    expect(links.size).toBe(0);
  });

  test("of a restored database replaces newer versions by older ones", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    log.commit(link({ displayName: "lost by the restore" }));
    const { links, greet, receiver: it } = receiver();
    greet(log);
    const restored = new FakeLog("epoch-2");
    restored.commit(...demoResources(BASE));
    expect(greet(restored)).toEqual(expect.objectContaining({ result: "applied" }));
    expect(links.link(LINK_ID)?.judged.link.displayName).toBe("");
    expect(it.cursor).toMatchObject({ epoch: "epoch-2", sequence: 1n, digest: restored.digest });
  });
});

describe("what a snapshot may take away", () => {
  const many = (count: number): ConfigResource[] =>
    Array.from({ length: count }, (_, at) => sealedSecret(`s${at}`, `value ${at}`));
  const smaller = (counted: bigint | undefined) => {
    const log = new FakeLog("epoch-2");
    log.commit(...demoResources(BASE));
    return log.snapshot().map((bytes) => {
      const frame = fromBinary(WatchConfigResponseSchema, bytes);
      if (frame.event.case === "snapshot") {
        if (counted === undefined) delete frame.event.value.countedResources;
        else frame.event.value.countedResources = counted;
      }
      return frame;
    });
  };

  test.each([
    ["refused while the database's own count is not said", undefined, "resync"],
    ["refused when the database counts more", 40n, "resync"],
    ["taken when the database counts as much", 5n, "applied"],
  ] as const)("most of it: %s", (_what, counted, result) => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE), ...many(40));
    const { links, receive, greet, receiver: it } = receiver();
    greet(log);
    receive(new FakeLog("epoch-2").hello(true));
    const last = smaller(counted)
      .map((frame) => it.receive(frame) as Applied)
      .at(-1);
    expect(last?.result).toBe(result);
    expect(links.link(LINK_ID)).toBeDefined();
    expect(it.cursor?.epoch).toBe(result === "applied" ? "epoch-2" : "epoch-1");
  });

  test("another installation's is not even looked at", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, receive, greet, receiver: it } = receiver();
    greet(log);
    const hello = fromBinary(WatchConfigResponseSchema, new FakeLog("epoch-9").hello(true));
    if (hello.event.case === "hello") hello.event.value.installationId = "another";
    expect(it.receive(hello)).toMatchObject({ result: "resync", kind: "other_installation" });
    expect(receive(new FakeLog("epoch-9").snapshot()[0]!).result).toBe("resync");
    expect(links.link(LINK_ID)).toBeDefined();
  });

  test("one whose digest is wrong changes nothing", () => {
    const log = new FakeLog();
    log.commit(...demoResources(BASE));
    const { links, receive, greet, receiver: it } = receiver();
    greet(log);
    receive(log.hello(true));
    const frames = log.snapshot().map((bytes) => fromBinary(WatchConfigResponseSchema, bytes));
    const [first] = frames;
    if (first?.event.case === "snapshot") first.event.value.resources[0]!.version += 1n;
    expect(frames.map((frame) => it.receive(frame) as Applied).at(-1)).toMatchObject({
      result: "resync",
      kind: "digest",
    });
    expect(links.rejected()).toEqual([]);
    expect(it.cursor).toMatchObject({ sequence: 1n, digest: log.digest });
  });
});

test("a change of very many links is prepared aside: until it is whole, every link is what it was", async () => {
  const log = new FakeLog();
  const links = Array.from({ length: 300 }, (_, at): ConfigResource => {
    const name = `projects/demo/links/many-${at}`;
    return { kind: "link", name, link: { ...linkOf(BASE), name } };
  });
  log.commit(...demoResources(BASE), ...links);
  const sources = new JwksSources({
    fetchJson: () => Promise.reject(new Error("no")),
    clock: systemClock,
    log: pino(),
  });
  const compiled = new CompiledLinks(sources);
  // Every look at the clock is a slice's end.
  let ms = 0;
  const it = new ConfigReceiver(compiled, { now: () => 0, monotonic: () => (ms += 100) });
  for (const frame of [log.hello(true), ...log.snapshot()])
    await it.receive(fromBinary(WatchConfigResponseSchema, frame));
  const values = () => {
    const seen = new Set<string>();
    for (const { name } of links) {
      const lines: string[] = [];
      compiled.link(name.slice(name.lastIndexOf("/") + 1))?.attach.credential.addHeaders(lines);
      seen.add(lines[1] ?? "");
    }
    return [...seen];
  };
  expect(values()).toHaveLength(1);
  const applying = it.receive(fromBinary(WatchConfigResponseSchema, log.commit(sealedSecret("key", "the-new-key"))));
  expect(applying).toBeInstanceOf(Promise);
  const during: string[][] = [];
  let isDone = false;
  void (applying as Promise<Applied>).then(() => {
    isDone = true;
  });
  while (!isDone) {
    during.push(values());
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(during.length).toBeGreaterThan(10);
  expect(new Set(during.flat()).size).toBeLessThanOrEqual(2);
  expect(during.every((seen) => seen.length === 1)).toBe(true);
  expect(values()).toEqual(["the-new-key"]);
});
