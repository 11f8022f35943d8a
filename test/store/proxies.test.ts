import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { forgetExpired, USAGE_BATCH_RETENTION_MS } from "../../server/src/store/forget-expired.ts";
import { claimRequest } from "../../server/src/store/idempotency.ts";
import { consumeJoinToken, insertJoinToken } from "../../server/src/store/join-tokens.ts";
import {
  deleteProxy,
  findProxyByCredential,
  getProxy,
  insertProxy,
  listProxies,
  recordProxyStatuses,
} from "../../server/src/store/proxies.ts";
import { addUsage, listUsage, USAGE_SUBJECT_MAX, type UsageRow } from "../../server/src/store/usage.ts";
import { describeStores } from "../support/store.ts";
import { proxyRow, TIME, unique, uniqueHash } from "./rows.ts";

const minutes = (count: number) => new Date(TIME.getTime() + count * 60_000);

describeStores("what proxies leave behind", (store) => {
  test("a proxy is found by its credential, keeps what it reports, and is refused once deleted", async () => {
    const row = proxyRow();
    await store().transaction((tx) => insertProxy(tx, row));
    const found = await store().read((tx) => findProxyByCredential(tx, row.credentialHash));
    expect(found).toMatchObject({ ...row, appliedSequence: 0n, rejected: [], lastSeenTime: null });
    const status = {
      softwareVersion: "0.1.0",
      appliedEpoch: randomUUID(),
      appliedSequence: 9_007_199_254_740_993n,
      issuerKeys: [],
      rejected: [{ name: "projects/p/links/l", version: "18446744073709551615", message: "no" }],
      lastSeenTime: minutes(1),
    };
    await store().transaction((tx) => recordProxyStatuses(tx, new Map([[row.id, status]])));
    const kept = {
      ...{ ...row, ...status, revokeTime: null, version: 1 },
      ...{ credentialCreateTime: null, previousCredentialHash: null, previousCredentialExpireTime: null },
      rotateRequestTime: null,
    };
    expect(await store().read((tx) => getProxy(tx, row.id))).toEqual(kept);
    expect(await store().read((tx) => listProxies(tx, "", 100))).toContainEqual(kept);
    const older = { ...status, appliedSequence: 1n, lastSeenTime: TIME };
    await store().transaction((tx) => recordProxyStatuses(tx, new Map([[row.id, older]])));
    expect(await store().read((tx) => getProxy(tx, row.id))).toEqual(kept);
    await store().transaction((tx) => deleteProxy(tx, row.id));
    expect(await store().read((tx) => findProxyByCredential(tx, row.credentialHash))).toBeUndefined();
  });

  test("a join token lets one proxy in, once, before it expires", async () => {
    const [used, expired] = [uniqueHash(), uniqueHash()];
    await store().transaction(async (tx) => {
      for (const tokenHash of [used, expired])
        await insertJoinToken(tx, { tokenHash, displayName: "edge", expireTime: minutes(60), createTime: TIME });
    });
    const join = (hash: string, proxy: string, at: Date) =>
      store().transaction((tx) => consumeJoinToken(tx, hash, proxy, at));
    const answers = await Promise.all(["a", "b", "c"].map((proxy) => join(used, proxy, minutes(1))));
    expect(answers.filter((row) => row !== undefined)).toHaveLength(1);
    expect(await join(used, "d", minutes(2))).toBeUndefined();
    expect(await join(expired, "e", minutes(60))).toBeUndefined();
    expect(await join(uniqueHash(), "f", TIME)).toBeUndefined();
  });

  test("a request id is claimed by one transaction; the others learn what it made, until it expires", async () => {
    const claim = (resourceName: string, requestSha256 = "aa") => ({
      principal: "apiKeys/a",
      method: "CreateLink",
      requestId,
      requestSha256,
      resourceName,
      expireTime: minutes(1),
    });
    const requestId = unique("request");
    const ask = (name: string, at = TIME) => store().transaction((tx) => claimRequest(tx, claim(name), at));
    const answers = await Promise.all(["links/a", "links/b", "links/c"].map((name) => ask(name)));
    expect(answers.filter((row) => row === undefined)).toHaveLength(1);
    const made = (await ask("links/d"))!.resourceName;
    expect(answers.filter((row) => row !== undefined).map((row) => row.resourceName)).toEqual([made, made]);
    expect(await ask("links/e", minutes(1))).toBeUndefined();
    expect((await ask("links/f"))!.resourceName).toBe("links/e");
    await store().transaction((tx) => forgetExpired(tx, minutes(1)));
    expect(await ask("links/g")).toBeUndefined();
  });

  test("a claim rolled back with its transaction leaves nothing", async () => {
    const row = {
      principal: "a",
      method: "m",
      requestId: unique("r"),
      requestSha256: "",
      resourceName: "n",
      expireTime: minutes(1),
    };
    const fails = store().transaction(async (tx) => {
      await claimRequest(tx, row, TIME);
      throw new Error("refused later");
    });
    await expect(fails).rejects.toThrow("refused later");
    expect(await store().transaction((tx) => claimRequest(tx, row, TIME))).toBeUndefined();
  });

  const usage = (project: string, change: Partial<UsageRow> = {}): UsageRow => ({
    project,
    minute: TIME,
    link: "link",
    subject: "alice",
    outcome: "ok",
    statusClass: 2,
    requests: 1n,
    ...change,
  });
  const add = (batch: string, rows: UsageRow[]) => store().transaction((tx) => addUsage(tx, batch, rows, TIME));

  test("usage is added up, and a batch sent twice counts once", async () => {
    const project = unique("project");
    const batch = randomUUID();
    expect(await add(batch, [usage(project, { requests: 3n }), usage(project, { requests: 4n })])).toBe(true);
    expect(await add(batch, [usage(project, { requests: 3n }), usage(project, { requests: 4n })])).toBe(false);
    await Promise.all(
      Array.from({ length: 8 }, () => add(randomUUID(), [usage(project), usage(project, { link: "z" })])),
    );
    const rows = await store().read((tx) => listUsage(tx, project, { limit: 10 }));
    expect(rows).toEqual([usage(project, { requests: 15n }), usage(project, { link: "z", requests: 8n })]);
    await store().transaction((tx) => forgetExpired(tx, new Date(TIME.getTime() + USAGE_BATCH_RETENTION_MS)));
    expect(await add(batch, [])).toBe(false);
    await store().transaction((tx) => forgetExpired(tx, new Date(TIME.getTime() + USAGE_BATCH_RETENTION_MS + 1)));
    expect(await add(batch, [])).toBe(true);
  });

  test("no subject a token may hold stops the counting", async () => {
    const project = unique("project");
    const subjects = ["a\u0000b", "\ud800", "x".repeat(20_000), "", "Zoë 🦓"];
    await add(
      randomUUID(),
      subjects.map((subject) => usage(project, { subject })),
    );
    const rows = await store().read((tx) => listUsage(tx, project, { limit: 10 }));
    expect(rows.map(({ subject }) => subject).sort()).toEqual(
      ["", "Zoë 🦓", "a\ufffdb", "x".repeat(USAGE_SUBJECT_MAX), "\ufffd"].sort(),
    );
  });

  test("usage is listed newest minute first, in pages without gap or repetition", async () => {
    const project = unique("project");
    const rows = [0, 1, 2].flatMap((minute) =>
      ["a", "b"].flatMap((link) =>
        [2, 4].map((statusClass) => usage(project, { minute: minutes(minute), link, statusClass })),
      ),
    );
    await add(randomUUID(), rows);
    const pages: UsageRow[] = [];
    for (;;) {
      const after = pages.at(-1);
      const page = await store().read((tx) => listUsage(tx, project, { limit: 5, ...(after && { after }) }));
      if (page.length === 0) break;
      pages.push(...page);
    }
    expect(pages.map((row) => row.minute.getTime())).toEqual(
      pages.map((row) => row.minute.getTime()).sort((a, b) => b - a),
    );
    expect(new Set(pages.map((row) => JSON.stringify([row.minute, row.link, row.statusClass]))).size).toBe(12);
    expect(pages).toHaveLength(12);
    expect(await store().read((tx) => listUsage(tx, project, { link: "b", limit: 100 }))).toHaveLength(6);
  });
});
