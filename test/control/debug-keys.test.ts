import { toJsonString } from "@bufbuild/protobuf";
import { GetLinkResponseSchema, LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hashToken, isTokenOf } from "../../server/src/model/token-string.ts";
import { configCurrent, links as linkTable } from "../../server/src/store/schema.ts";
import { decodeConfigResource } from "../../server/src/wire/config.ts";
import {
  type ControlPlane,
  failureOf,
  makeLink,
  START_MS,
  startControlPlane,
  type TestProject,
} from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
let other: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  other = await plane.makeProject("other");
});
afterAll(() => plane[Symbol.asyncDispose]());

const HOUR = { seconds: 3600n, nanos: 0 };
const links = (credential = project.keys.editor) => plane.client(LinkService, credential);

/** The debug keys of a link as the proxies get them. */
async function sentKeys(link: string) {
  const rows = await plane.store.read((reader) => reader.select().from(configCurrent));
  const row = rows.find(({ kind, name }) => kind === "link" && name === link);
  const resource = decodeConfigResource("link", row?.payload ?? new Uint8Array());
  return resource.kind === "link" ? (resource.debugKeys ?? []) : [];
}

describe("CreateDebugKey", () => {
  it("shows a key once; the proxies get its hash and expiry, after an hour by default", async () => {
    const parent = await makeLink(plane, project.name);
    const made = await links().createDebugKey({ parent });
    expect(isTokenOf("debugKey", made.debugKey)).toBe(true);
    expect(Number(made.expireTime?.seconds)).toBe((plane.clock.now() + 3_600_000) / 1000);
    expect(made.configSequence).toBeGreaterThan(0n);
    expect(await sentKeys(parent)).toEqual([
      { keyHash: hashToken(made.debugKey), expireTimeMs: plane.clock.now() + 3_600_000 },
    ]);
    const rows = await plane.store.read((reader) => reader.select().from(linkTable));
    expect(JSON.stringify(rows)).not.toContain(made.debugKey);
    expect(toJsonString(GetLinkResponseSchema, await links().getLink({ name: parent }))).not.toContain(
      hashToken(made.debugKey),
    );
  });

  it.each([
    ["59 s", { seconds: 59n, nanos: 0 }],
    ["more than a day", { seconds: 86_401n, nanos: 0 }],
  ])("refuses a lifetime of %s", async (_what, lifetime) => {
    const parent = await makeLink(plane, project.name);
    expect(await failureOf(links().createDebugKey({ parent, lifetime }))).toMatchObject({ fields: ["lifetime"] });
    expect(await sentKeys(parent)).toEqual([]);
  });

  it("is for editors of the link's own project", async () => {
    const parent = await makeLink(plane, project.name);
    expect(await failureOf(links(project.keys.viewer).createDebugKey({ parent }))).toMatchObject({
      reason: "PERMISSION_MISSING",
    });
    expect(await failureOf(links(other.keys.owner).createDebugKey({ parent }))).toMatchObject({
      reason: "RESOURCE_NOT_FOUND",
    });
    const foreign = `${other.name}/links/${parent.split("/").at(-1)}`;
    expect(await failureOf(links(other.keys.owner).createDebugKey({ parent: foreign }))).toMatchObject({
      reason: "RESOURCE_NOT_FOUND",
    });
    expect(await sentKeys(parent)).toEqual([]);
  });

  it("a retry makes no second key and does not show the first again", async () => {
    const parent = await makeLink(plane, project.name);
    const request = { parent, lifetime: HOUR, requestId: crypto.randomUUID() };
    const first = await links().createDebugKey(request);
    const again = await links().createDebugKey(request);
    expect([again.debugKey, again.expireTime]).toEqual(["", first.expireTime]);
    expect(await sentKeys(parent)).toHaveLength(1);
    expect(await failureOf(links().createDebugKey({ ...request, lifetime: { seconds: 60n } }))).toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
  });

  it("leaves the link's etag and survives its updates", async () => {
    const parent = await makeLink(plane, project.name);
    const { link } = await links().getLink({ name: parent });
    await links().createDebugKey({ parent });
    await links().updateLink({ link: { name: parent, displayName: "changed", etag: link!.etag } });
    await links().disableLink({ name: parent });
    expect(await sentKeys(parent)).toHaveLength(1);
  });

  it("has room for 20 that count", async () => {
    const parent = await makeLink(plane, project.name);
    for (let made = 0; made < 20; made += 1) await links().createDebugKey({ parent });
    expect(await failureOf(links().createDebugKey({ parent }))).toMatchObject({ reason: "RESOURCE_IN_USE" });
    plane.clock.advance(3_600_000);
    await links().createDebugKey({ parent });
    expect(await sentKeys(parent)).toHaveLength(1);
  });
});

it("the sweep takes away expired keys and no other", async () => {
  const parent = await makeLink(plane, project.name);
  await links().createDebugKey({ parent, lifetime: { seconds: 60n } });
  const kept = await links().createDebugKey({ parent, lifetime: { seconds: 7200n } });
  await plane.control.sweep();
  expect(await sentKeys(parent)).toHaveLength(2);
  plane.clock.advance(60_000);
  await plane.control.sweep();
  expect((await sentKeys(parent)).map(({ keyHash }) => keyHash)).toEqual([hashToken(kept.debugKey)]);
  expect(plane.clock.now()).toBeGreaterThan(START_MS);
});
