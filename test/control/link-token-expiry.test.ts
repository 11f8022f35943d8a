import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { tryTask } from "../../server/src/store/advisory-lock.ts";
import { readConfigCurrent } from "../../server/src/store/config-current.ts";
import { databaseState } from "../config-log/changes.ts";
import { type ControlPlane, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
});
afterAll(() => plane[Symbol.asyncDispose]());

const tokens = () => plane.client(LinkTokenService, project.keys.editor);
const sent = async () => {
  const resources = await plane.store.read((reader) => readConfigCurrent(reader, undefined, 5_000));
  return resources.filter(({ kind }) => kind === "link_token").map(({ name }) => name);
};

it("an expired link token leaves the proxies by a logged delete, is still shown, and a later expiry brings it back", async () => {
  const link = await makeLink(plane, "projects/demo", "weather");
  const expireTime = timestampFromMs(plane.clock.now() + 60_000);
  const { linkToken: short } = await tokens().createLinkToken({ parent: link, linkToken: { expireTime } });
  const { linkToken: endless } = await tokens().createLinkToken({ parent: link, linkToken: {} });
  const both = [short!.name, endless!.name].sort();
  await plane.control.sweep();
  expect((await sent()).sort()).toEqual(both);
  plane.clock.advance(60_000);
  await plane.control.sweep();
  expect(await sent()).toEqual([endless!.name]);
  const { head, digest } = await databaseState(plane.store);
  expect(head.digest).toEqual(digest);
  await plane.control.sweep();
  expect((await databaseState(plane.store)).head.sequence).toBe(head.sequence);
  const { linkToken: shown } = await tokens().getLinkToken({ name: short!.name });
  expect(shown!.expireTime).toEqual(expireTime);
  const later = { ...shown!, expireTime: timestampFromMs(plane.clock.now() + 60_000) };
  await tokens().updateLinkToken({ linkToken: later, updateMask: { paths: ["expire_time"] } });
  expect((await sent()).sort()).toEqual(both);
});

it("is swept by one replica at a time", async () => {
  const held = await plane.store.transaction(async (tx) => [await tryTask(tx, "sweep"), await tryTask(tx, "tidy")]);
  expect(held).toEqual([true, true]);
});
