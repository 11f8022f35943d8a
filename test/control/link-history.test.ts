import type { MessageInitShape } from "@bufbuild/protobuf";
import { AuditService } from "@conduit-link/proto/conduit/v1/audit_service_pb";
import { Link_State, type LinkSchema, LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
});
afterAll(() => plane[Symbol.asyncDispose]());

const links = (credential = project.keys.editor) => plane.client(LinkService, credential);
const update = (name: string, link: MessageInitShape<typeof LinkSchema>, reason = "") =>
  links().updateLink({ link: { name, ...link }, reason });
const revisions = async (parent: string) => (await links().listLinkRevisions({ parent })).linkRevisions;
const read = async (name: string) => (await links().getLink({ name })).link!;

test("every version is kept with who wrote it, how, why, and what changed", async () => {
  const name = await makeLink(plane, project.name, "kept-link");
  plane.clock.advance(60_000);
  await update(name, { displayName: "Named", upstream: { baseUrl: "https://api.example/v2" } }, "the API moved");
  await links().disableLink({ name, reason: "incident 17" });
  const kept = await revisions(name);
  expect(kept.map((it) => [it.name, it.action, it.reason, it.changedFields?.paths])).toEqual([
    [`${name}/revisions/3`, "LinkService.DisableLink", "incident 17", ["state"]],
    [`${name}/revisions/2`, "LinkService.UpdateLink", "the API moved", ["display_name", "upstream.base_url"]],
    [`${name}/revisions/1`, "LinkService.CreateLink", "", []],
  ]);
  expect(kept[0]?.actor).toMatch(/^projects\/demo\/apiKeys\/key-/);
  expect(kept[2]?.actor).toMatch(/^apiKeys\//);
  expect(Number(kept[1]!.createTime!.seconds) - Number(kept[2]!.createTime!.seconds)).toBe(60);
  expect(kept[2]?.link).toMatchObject({ displayName: "", upstream: { baseUrl: "https://api.example/v1" } });
  expect((await links().getLinkRevision({ name: `${name}/revisions/2` })).linkRevision).toEqual(kept[1]);
  const { auditEvents } = await plane
    .client(AuditService, project.keys.owner)
    .listAuditEvents({ resource: name, parent: project.name });
  expect(auditEvents[0]?.details).toEqual({ reason: "incident 17" });
});

test("what is refused or only checked leaves no version", async () => {
  const name = await makeLink(plane, project.name);
  await failureOf(update(name, { rules: [{ path: "no-slash" }] }));
  await links().updateLink({ link: { name, displayName: "Only checked" }, validateOnly: true });
  await links().createDebugKey({ parent: name });
  expect(await revisions(name)).toHaveLength(1);
});

test("comparing tells each field that differs, with both values", async () => {
  const name = await makeLink(plane, project.name);
  await update(name, { displayName: "Two" });
  await update(name, { displayName: "Three", audiences: ["a"] });
  expect(await links().compareLinkRevisions({ name })).toMatchObject({
    fromRevision: 2,
    toRevision: 3,
    changes: [
      { path: "audiences", to: { kind: { case: "listValue" } } },
      { path: "display_name", from: { kind: { value: "Two" } }, to: { kind: { value: "Three" } } },
    ],
  });
  const back = await links().compareLinkRevisions({ name, fromRevision: 3, toRevision: 1 });
  expect(back.changes.map(({ path }) => path)).toEqual(["audiences", "display_name"]);
  expect((await failureOf(links().compareLinkRevisions({ name, toRevision: 1 }))).code).toBe("NotFound");
});

test("rolling back writes the earlier version again as a new one; a switched-off link stays off", async () => {
  const name = await makeLink(plane, project.name);
  await update(name, { displayName: "Mistake", rules: [{ path: "/everything/**" }] });
  await links().disableLink({ name });
  const shown = await links().rollbackLink({ name, toRevision: 1, validateOnly: true });
  expect(shown).toMatchObject({ configSequence: 0n, fromRevision: 3, toRevision: 1 });
  expect(shown.changes.map(({ path }) => path)).toEqual(["display_name", "rules"]);
  expect((await read(name)).displayName).toBe("Mistake");

  const done = await links().rollbackLink({ name, fromRevision: 3, toRevision: 1, reason: "undo" });
  expect(done.configSequence).toBeGreaterThan(0n);
  expect(await read(name)).toMatchObject({
    displayName: "",
    rules: [{ path: "/**" }],
    state: Link_State.DISABLED,
    etag: done.link?.etag,
  });
  const [newest] = await revisions(name);
  expect(newest).toMatchObject({ name: `${name}/revisions/4`, action: "LinkService.RollbackLink", reason: "undo" });
});

test("one step back is the default; twice brings it back", async () => {
  const name = await makeLink(plane, project.name);
  await update(name, { displayName: "Two" });
  expect((await links().rollbackLink({ name })).toRevision).toBe(1);
  expect((await read(name)).displayName).toBe("");
  await links().rollbackLink({ name });
  expect((await read(name)).displayName).toBe("Two");
});

test("a rollback is refused when the link changed since it was shown, or has no earlier version", async () => {
  const name = await makeLink(plane, project.name);
  expect((await failureOf(links().rollbackLink({ name }))).code).toBe("NotFound");
  await update(name, { displayName: "Two" });
  await update(name, { displayName: "Three" });
  const late = await failureOf(links().rollbackLink({ name, fromRevision: 2 }));
  expect(late).toMatchObject({ code: "Aborted", reason: "ETAG_MISMATCH" });
  expect((await read(name)).displayName).toBe("Three");
});

test("a rollback is judged like any write: what it refers to must be there", async () => {
  const secrets = plane.client(SecretService, project.keys.editor);
  const secret = `${project.name}/secrets/upstream-key`;
  await secrets.createSecret({ parent: project.name, secretId: "upstream-key", secret: { value: "canary-5t8w2p" } });
  const name = await makeLink(plane, project.name);
  await update(name, { injections: [{ kind: { case: "bearer", value: {} }, secret }] });
  await links().updateLink({ link: { name }, updateMask: { paths: ["injections"] } });
  await secrets.deleteSecret({ name: secret });
  const refused = await failureOf(links().rollbackLink({ name }));
  expect(refused).toMatchObject({ reason: "FIELD_INVALID", fields: ["link.injections[0].secret"] });
  expect(await revisions(name)).toHaveLength(3);
});

test("S18: a rollback does not let a tenant reach private addresses again; an operator may", async () => {
  const name = await makeLink(plane, project.name);
  const upstream = { baseUrl: "http://127.0.0.1:1", allowPrivate: true };
  await plane.client(LinkService).updateLink({ link: { name, upstream } });
  const open = { name, upstream: { baseUrl: "https://api.example" } };
  await links().updateLink({ link: open, updateMask: { paths: ["upstream"] } });
  expect((await failureOf(links().rollbackLink({ name }))).reason).toBe("PERMISSION_MISSING");
  await plane.client(LinkService).rollbackLink({ name });
  expect((await read(name)).upstream).toMatchObject(upstream);
});

test("the history outlives the link, and no other project sees it", async () => {
  const other = await plane.makeProject("other");
  const name = await makeLink(plane, project.name);
  await links().deleteLink({ name, reason: "gone" });
  expect(await revisions(name)).toHaveLength(1);
  expect((await failureOf(links().rollbackLink({ name, toRevision: 1 }))).code).toBe("NotFound");
  const foreign = plane.client(LinkService, other.keys.owner).listLinkRevisions({ parent: name });
  expect((await failureOf(foreign)).code).toBe("NotFound");
  const nothing = `${project.name}/links/never-there`;
  expect((await failureOf(links().listLinkRevisions({ parent: nothing }))).code).toBe("NotFound");
});

test("pages of a history join up", async () => {
  const name = await makeLink(plane, project.name);
  for (const displayName of ["a", "b", "c", "d"]) await update(name, { displayName });
  const numbers: string[] = [];
  let pageToken = "";
  do {
    const page = await links().listLinkRevisions({ parent: name, pageSize: 2, pageToken });
    numbers.push(...page.linkRevisions.map((it) => it.name.slice(it.name.lastIndexOf("/") + 1)));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(numbers).toEqual(["5", "4", "3", "2", "1"]);
});
