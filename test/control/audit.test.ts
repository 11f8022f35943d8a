import { AuditService } from "@conduit-link/proto/conduit/v1/audit_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { sealAudit } from "../../server/src/control/audit/sealer.ts";
import { type AuditVerdict, verifyAudit } from "../../server/src/control/audit/verify.ts";
import type { AuditEvent } from "../../server/src/model/audit-event.ts";
import { recordAudit } from "../../server/src/store/audit.ts";
import type { Tx } from "../../server/src/store/database.ts";
import { auditBlocks, auditRecords } from "../../server/src/store/schema-audit.ts";
import type { Store } from "../../server/src/store/store.ts";
import { openTestStore } from "../support/store.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  await plane.makeProject("other");
});
afterAll(() => plane[Symbol.asyncDispose]());

const audit = (credential: string | null = project.keys.owner) => plane.client(AuditService, credential ?? undefined);
const actions = async (more: object = {}): Promise<string[]> =>
  (await audit().listAuditEvents({ parent: project.name, ...more })).auditEvents.map(({ action }) => action);

describe("S23: one record per mint and change, in the same transaction", () => {
  it("for each call that did something; none for a refused, repeated or reading one", async () => {
    const before = (await actions({ pageSize: 500 })).length;
    const link = await makeLink(plane, project.name, "trail");
    const secrets = plane.client(SecretService, project.keys.editor);
    const requestId = crypto.randomUUID();
    const create = { parent: project.name, secretId: "upstream-key", secret: { value: "canary-9f3k2q" }, requestId };
    await secrets.createSecret(create);
    await secrets.createSecret(create);
    await failureOf(secrets.createSecret({ ...create, requestId: "" }));
    await secrets.getSecret({ name: `${project.name}/secrets/upstream-key` });
    await secrets.updateSecret({ secret: { name: `${project.name}/secrets/upstream-key`, value: "canary-7w5x1z" } });
    await plane.client(LinkService).disableLink({ name: link });
    await plane.client(LinkService).enableLink({ name: link });
    const tokens = plane.client(TokenService, project.keys.minter);
    const { tokenId, accessToken } = await tokens.mintToken({ parent: project.name, subject: "u-1", links: [link] });
    await failureOf(tokens.mintToken({ parent: project.name, subject: "u-1", links: ["projects/demo/links/none"] }));
    await secrets.deleteSecret({ name: `${project.name}/secrets/upstream-key` });

    const { auditEvents } = await audit().listAuditEvents({ parent: project.name, pageSize: 500 });
    const made = auditEvents.slice(0, auditEvents.length - before);
    expect(made.map(({ action, resource }) => [action, resource])).toEqual([
      ["SecretService.DeleteSecret", `${project.name}/secrets/upstream-key`],
      ["TokenService.MintToken", project.name],
      ["LinkService.EnableLink", link],
      ["LinkService.DisableLink", link],
      ["SecretService.UpdateSecret", `${project.name}/secrets/upstream-key`],
      ["SecretService.CreateSecret", `${project.name}/secrets/upstream-key`],
      ["LinkService.CreateLink", link],
    ]);
    expect(made[1]).toMatchObject({ details: { subject: "u-1", token_id: tokenId }, block: 0n });
    expect(made[1]?.actor).toMatch(/^projects\/demo\/apiKeys\/key-/);
    expect(made[1]?.requestId).toMatch(/^[0-9a-f-]{36}$/);
    const text = JSON.stringify(made, (_, value) => (typeof value === "bigint" ? `${value}` : value));
    for (const secret of ["canary", accessToken, project.keys.minter]) expect(text.includes(secret)).toBe(false);
  });

  it("a change that is rolled back leaves none", async () => {
    const before = (await actions({ pageSize: 500 })).length;
    const event: AuditEvent = eventOf(1, project.name);
    const fails = plane.store.transaction(async (tx) => {
      await recordAudit(tx, event);
      throw new Error("no");
    });
    await expect(fails).rejects.toThrow("no");
    expect((await actions({ pageSize: 500 })).length).toBe(before);
  });
});

describe("AuditService", () => {
  it("filters by actor, action, service, resource, subject and time, and pages through what fits", async () => {
    const parent = project.name;
    const startTime = { seconds: BigInt(plane.clock.now() / 1000) + 100n, nanos: 0 };
    plane.clock.advance(200_000);
    const link = await makeLink(plane, parent, "filtered");
    for (const subject of ["a", "b", "a"])
      await plane.client(TokenService, project.keys.minter).mintToken({ parent, subject, links: [link] });
    expect(await actions({ startTime })).toHaveLength(4);
    expect(await actions({ startTime, action: "LinkService." })).toEqual(["LinkService.CreateLink"]);
    expect(await actions({ startTime, action: "TokenService.MintToken", subject: "a" })).toHaveLength(2);
    expect(await actions({ startTime, resource: link })).toEqual(["LinkService.CreateLink"]);
    expect(await actions({ startTime, actor: "nobody" })).toEqual([]);
    expect(await actions({ endTime: startTime, subject: "b" })).toEqual([]);
    const page = await audit().listAuditEvents({ parent, startTime, pageSize: 3 });
    const rest = await audit().listAuditEvents({ parent, startTime, pageSize: 3, pageToken: page.nextPageToken });
    expect([page.auditEvents.length, rest.auditEvents.length, rest.nextPageToken]).toEqual([3, 1, ""]);
    const moved = audit().listAuditEvents({ parent, pageSize: 3, pageToken: page.nextPageToken });
    expect((await failureOf(moved)).reason).toBe("PAGE_TOKEN_INVALID");
  });

  it("shows a project's events to its owner, everything to operators, and nothing to anyone else", async () => {
    const other = plane.client(AuditService);
    const { auditEvents } = await other.listAuditEvents({ pageSize: 500 });
    const names = auditEvents.map(({ name }) => name);
    expect(names.some((name) => name.startsWith("projects/other/"))).toBe(true);
    expect(names.some((name) => name.startsWith("auditEvents/"))).toBe(true);
    const foreign = names.find((name) => name.startsWith("projects/other/")) ?? "";
    const id = foreign.slice(foreign.lastIndexOf("/") + 1);
    for (const call of [
      audit().listAuditEvents({}),
      audit().listAuditEvents({ parent: "projects/other" }),
      audit().getAuditEvent({ name: foreign }),
      audit().getAuditEvent({ name: `${project.name}/auditEvents/${id}` }),
      audit().getAuditEvent({ name: `auditEvents/${id}` }),
    ])
      expect((await failureOf(call)).code).toBe("NotFound");
    expect((await other.getAuditEvent({ name: foreign })).auditEvent?.name).toBe(foreign);
    const viewer = plane.client(AuditService, project.keys.viewer);
    expect((await failureOf(viewer.listAuditEvents({ parent: project.name }))).code).toBe("PermissionDenied");
  });
});

const eventOf = (index: number, resource = "projects/p"): AuditEvent => ({
  timeMs: 1_700_000_000_000 + index,
  actor: "apiKeys/k",
  action: "TokenService.MintToken",
  resource,
  requestId: `r-${index}`,
  clientAddress: "192.0.2.1",
  details: { subject: `user-${index}`, b: "2", a: "1" },
});

/** Three sealed blocks of ten records, and an unsealed tail of two. */
async function sealedStore(kind: Store["kind"]): Promise<Store> {
  const store = await openTestStore(kind);
  for (let block = 0; block < 3; block += 1) {
    for (let index = 0; index < 10; index += 1)
      await store.transaction((tx) => recordAudit(tx, eventOf(block * 10 + index)));
    await sealAudit({ store, clock: systemClock });
  }
  await store.transaction((tx) => recordAudit(tx, eventOf(30), eventOf(31)));
  return store;
}

const firstOf = (block: bigint) => sql`(select min(id) from audit_records where block = ${block})`;

describe.each<[string, (tx: Tx) => Promise<unknown>, readonly bigint[]]>([
  ["changes nothing", async () => undefined, []],
  ["changes a detail", (tx) => change(tx, { details: { subject: "user-999", a: "1", b: "2" } }), [2n]],
  [
    "changes a time by a millisecond",
    (tx) => change(tx, { time: sql`"time" + interval '1 millisecond'` as never }),
    [2n],
  ],
  ["changes who did it", (tx) => change(tx, { actor: "apiKeys/other" }), [2n]],
  ["moves a record to another project", (tx) => change(tx, { project: "q" }), [2n]],
  ["removes a record", (tx) => tx.delete(auditRecords).where(eq(auditRecords.id, firstOf(2n) as never)), [2n]],
  ["removes a whole block's records", (tx) => tx.delete(auditRecords).where(eq(auditRecords.block, 2n)), [2n]],
  ["puts a record back among the unsealed", (tx) => change(tx, { block: null }), [2n]],
  ["moves a record to another block", (tx) => change(tx, { block: 1n }), [1n, 2n]],
  [
    "takes an unsealed record into a block",
    (tx) => tx.update(auditRecords).set({ block: 3n }).where(sql`block is null`),
    [3n],
  ],
  ["swaps two records", swapTwo, [2n]],
  ["removes a block with its records", removeBlock, [3n]],
  [
    "removes a block and leaves its records",
    (tx) => tx.delete(auditBlocks).where(eq(auditBlocks.number, 2n)),
    [3n, 2n],
  ],
  [
    "changes a block's hash",
    (tx) =>
      tx
        .update(auditBlocks)
        .set({ hash: new Uint8Array(32) })
        .where(eq(auditBlocks.number, 2n)),
    [2n, 3n],
  ],
])("S23: who %s", (_what, tamper, broken) => {
  it(`is found out: ${broken.join(", ") || "nothing"}`, async () => {
    // PostgreSQL makes a database of its own for each in a fraction of the time that PGlite takes.
    const store = await sealedStore("postgres");
    await store.transaction(tamper);
    const verdict = await verifyAudit(store);
    expect(verdict.findings.map(({ block }) => block)).toEqual(broken);
    if (broken.length === 0) expect(verdict).toMatchObject({ blocks: 3, records: 30, unsealed: 2 });
    await store.close();
  });
});

function change(tx: Tx, to: Partial<typeof auditRecords.$inferInsert>): Promise<unknown> {
  return tx
    .update(auditRecords)
    .set(to)
    .where(eq(auditRecords.id, firstOf(2n) as never));
}

async function swapTwo(tx: Tx): Promise<void> {
  await tx.execute(sql`alter table audit_records alter column id drop identity`);
  const [lower, upper] = await tx
    .select()
    .from(auditRecords)
    .where(eq(auditRecords.block, 2n))
    .orderBy(auditRecords.id);
  const renumber = (from: bigint, to: bigint) =>
    tx.execute(sql`update audit_records set id = ${to} where id = ${from}`);
  await renumber(lower!.id, 1_000n);
  await renumber(upper!.id, lower!.id);
  await renumber(1_000n, upper!.id);
}

async function removeBlock(tx: Tx): Promise<void> {
  await tx.delete(auditRecords).where(eq(auditRecords.block, 2n));
  await tx.delete(auditBlocks).where(eq(auditBlocks.number, 2n));
}

describe("the sealer", () => {
  it("of several replicas at once makes one chain without gaps, and seals what commits late", async () => {
    const store = await openTestStore("postgres");
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isIn: () => void = () => undefined;
    const inserted = new Promise<void>((resolve) => {
      isIn = resolve;
    });
    const late = store.transaction(async (tx) => {
      await recordAudit(tx, eventOf(0));
      isIn();
      await held;
    });
    await inserted;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let index = 0; index < 25; index += 1)
        await store.transaction((tx) => recordAudit(tx, eventOf(1 + writer * 25 + index)));
    });
    const sealers = Array.from({ length: 4 }, async () => {
      for (let round = 0; round < 10; round += 1) await sealAudit({ store, clock: systemClock });
    });
    await Promise.all([...writers, ...sealers]);
    await sealAudit({ store, clock: systemClock });
    expect(await verifyAudit(store)).toMatchObject({ findings: [], records: 200, unsealed: 0 });
    release();
    await late;
    await sealAudit({ store, clock: systemClock });
    expect(await verifyAudit(store)).toMatchObject({ findings: [], records: 201, unsealed: 0 });
    await store.close();
  });

  it("leaves a head by which a chain that was cut at its end is found out", async () => {
    const store = await sealedStore("pglite");
    const { head }: AuditVerdict = await verifyAudit(store);
    await store.transaction(async (tx) => {
      await tx.delete(auditRecords).where(eq(auditRecords.block, 3n));
      await tx.delete(auditBlocks).where(eq(auditBlocks.number, 3n));
    });
    expect((await verifyAudit(store)).findings).toEqual([]);
    expect((await verifyAudit(store, head)).findings).toEqual([
      { block: 2n, what: "the noted head is not in the chain: it was cut" },
    ]);
    await store.close();
  });
});
