// A link that comes with a whole state is read when it is compiled: what cannot be read then is rejected, by itself.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LinkConfigSchema, WatchConfigResponseSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { pino } from "pino";
import { expect, test } from "vitest";
import { systemClock } from "../../../server/src/clock.ts";
import { encodeSnapshotChunk } from "../../../server/src/config-log/frames.ts";
import { JwksSources } from "../../../server/src/jwt/jwks.ts";
import { type EncodedResource, stateDigest } from "../../../server/src/model/config-digest.ts";
import { SecretText } from "../../../server/src/model/secret-text.ts";
import { ConfigReceiver } from "../../../server/src/proxy/config/apply.ts";
import { CompiledLinks } from "../../../server/src/proxy/config/compiled-links.ts";
import { LINK_ID, LINK_NAME, linkOf } from "../harness.ts";
import { demoResources, FakeLog } from "./fake-control.ts";

const BASE = "http://127.0.0.1:9";
const NAME = "projects/demo/links/from-a-newer-version";
const secret = "projects/demo/secrets/key";

/** A link in a state that this version does not know. */
const unreadable = (name: string): Uint8Array => {
  const link = { name, injections: [{ kind: { case: "bearer" as const, value: {} }, secret }], state: 99 as never };
  return toBinary(LinkConfigSchema, create(LinkConfigSchema, { link }));
};

async function greeted(...more: readonly Pick<EncodedResource, "name" | "payload">[]) {
  const fetchJson = () => Promise.reject(new Error("no JWKS here"));
  const links = new CompiledLinks(new JwksSources({ fetchJson, clock: systemClock, log: pino({ level: "silent" }) }));
  const receiver = new ConfigReceiver(links, systemClock);
  const receive = (bytes: Uint8Array) => receiver.receive(fromBinary(WatchConfigResponseSchema, bytes));
  const log = new FakeLog();
  log.commit(...demoResources(BASE));
  const resources = [...log.resources, ...more.map((it) => ({ ...it, kind: "link" as const, version: 1n }))];
  const count = BigInt(resources.length);
  await receive(log.hello(true));
  const counts = { totalResources: count, countedResources: count };
  const parts = { index: 0, last: true, resources, stateDigest: stateDigest(resources) };
  const applied = await receive(encodeSnapshotChunk({ sequence: log.sequence, ...parts, ...counts }));
  expect(applied).toEqual({ result: "applied", whole: true });
  return { links, receiver, receive, log };
}

test("a link that cannot be read is rejected when it is looked at, is held for the digest, and the others are served", async () => {
  const { links, receiver } = await greeted({ name: NAME, payload: unreadable(NAME) });
  expect([links.isReady, links.isChecked, links.rejected()]).toEqual([true, false, []]);
  while (links.checkNext());
  expect([links.isChecked, links.rejected()]).toEqual([
    true,
    [{ name: NAME, version: "1", message: expect.any(String) }],
  ]);
  expect(links.link(LINK_ID)).toBeDefined();
  expect(links.link("from-a-newer-version")).toBeUndefined();
  expect([...receiver.resources()].map(({ name }) => name)).toContain(NAME);
});

test("asked for before it was looked at, it is not there; a change of its secret does not trip over it; its deletion ends it", async () => {
  const { links, receiver } = await greeted({ name: NAME, payload: unreadable(NAME) });
  expect(links.link("from-a-newer-version")).toBeUndefined();
  expect(links.rejected()).toHaveLength(1);
  links.apply([{ kind: "secret", name: secret, version: 9n, resource: undefined }]);
  expect(links.rejected().map(({ name }) => name)).toContain(NAME);
  links.apply([{ kind: "link", name: NAME, version: 9n, resource: undefined }]);
  expect(links.rejected().map(({ name }) => name)).not.toContain(NAME);
  expect(receiver.cursor?.sequence).toBe(1n);
});

test("a change of a secret meets links nobody has looked at yet: they are, and those that can be read are served by it", async () => {
  const { links } = await greeted({ name: NAME, payload: unreadable(NAME) });
  const link = linkOf(BASE, { displayName: "changed" });
  links.apply([{ kind: "link", name: LINK_NAME, version: 2n, resource: { kind: "link", name: LINK_NAME, link } }]);
  const resource = { kind: "secret", name: secret, secret: { current: new SecretText("another key") } } as const;
  links.apply([{ kind: "secret", name: secret, version: 9n, resource }]);
  expect(links.link(LINK_ID)?.judged.link.displayName).toBe("changed");
  expect(links.rejected().map(({ name }) => name)).toContain(NAME);
});

test("bytes that are another link's, or none, are rejected at once", async () => {
  const { links } = await greeted(
    { name: NAME, payload: unreadable(LINK_NAME) },
    { name: `${NAME}-2`, payload: new Uint8Array([0xff]) },
  );
  expect(links.rejected().map(({ name }) => name)).toEqual([NAME, `${NAME}-2`]);
});
