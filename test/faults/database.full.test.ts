// A real PostgreSQL that goes away, comes back, becomes read-only, and loses its connections in the middle of the work.
import { isControlError } from "@conduit-link/sdk/server";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MintingServer, startMintingServer } from "../support/minting-server.ts";
import { createDatabase } from "../support/postgres.ts";
import { openTcpGate, type TcpGate } from "../support/tcp-gate.ts";
import { until } from "../support/until.ts";

let gate: TcpGate;
let admin: postgres.Sql;
let server: MintingServer;

beforeAll(async () => {
  const url = new URL(await createDatabase());
  admin = postgres(url.href, { max: 1, onnotice: () => {} });
  gate = await openTcpGate(Number(url.port));
  url.port = `${gate.port}`;
  server = await startMintingServer({ DATABASE_URL: url.href });
}, 60_000);

afterAll(async () => {
  await server.process.stop();
  await gate[Symbol.asyncDispose]();
  await admin.end();
});

const mint = async (): Promise<string> => {
  const { project, link } = server;
  return (await server.control.mintToken({ parent: project, subject: "u", links: [link] })).tokenId;
};
const createSecret = (id: string) =>
  server.control.call("conduit.v1.SecretService", "CreateSecret", {
    parent: server.project,
    secretId: id,
    secret: { value: Buffer.from("k".repeat(40)).toString("base64") },
  });
const secrets = async (): Promise<number> => Number((await admin`select count(*)::int as n from secrets`)[0]?.n);
const untilWorking = () => until("minting", () => mint().catch(() => undefined), 20_000);
const untilReady = () => until("readyz", async () => ((await server.readyz()).status === 200 ? true : undefined));
const untilUnready = () =>
  until("not ready", async () => {
    const { status, text } = await server.readyz();
    return status === 503 ? text : undefined;
  });

describe("R9: a database that", () => {
  test("is gone: calls are told so at once, readyz says it, and all works again by itself", async () => {
    await mint();
    const before = await secrets();
    await gate.shut();
    for (const call of [mint(), createSecret("gone")])
      await expect(call).rejects.toMatchObject({ code: "unavailable", reason: "STORE_UNAVAILABLE" });
    expect(await untilUnready()).toContain("database cannot be reached");
    await gate.open();
    await untilWorking();
    await untilReady();
    expect(await secrets()).toBe(before);
  }, 60_000);

  test("is read-only: changes are refused with these words, nothing is half done, and it works again by itself", async () => {
    const [{ name } = { name: "" }] = await admin<{ name: string }[]>`select current_database() as name`;
    const before = await secrets();
    await admin.unsafe(`alter database ${name} set default_transaction_read_only = on`);
    await admin`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`;
    const refusal = await until("the refusal", () =>
      createSecret("closed").then(
        () => undefined,
        (error: unknown) => (isControlError(error) && error.message.includes("read-only") ? error : undefined),
      ),
    );
    expect(refusal).toMatchObject({ code: "unavailable", reason: "STORE_UNAVAILABLE" });
    await expect(mint()).rejects.toMatchObject({ code: "unavailable" });
    // What only reads goes on.
    await server.control.call("conduit.v1.LinkService", "GetLink", { name: server.link });
    expect(await untilUnready()).toContain("read-only");
    await admin.unsafe("set default_transaction_read_only = off");
    await admin.unsafe(`alter database ${name} reset default_transaction_read_only`);
    await untilWorking();
    await untilReady();
    expect(await secrets()).toBe(before);
  }, 60_000);

  test("ends connections while tokens are minted: each minted token is in the audit trail, each failure says so", async () => {
    const minted: string[] = [];
    const failures = new Set<unknown>();
    const untilMs = performance.now() + 4_000;
    const client = async (): Promise<void> => {
      while (performance.now() < untilMs)
        await mint().then(
          (tokenId) => minted.push(tokenId),
          (error: unknown) => failures.add(isControlError(error) ? error.code : error),
        );
    };
    const killer = async (): Promise<void> => {
      while (performance.now() < untilMs) {
        await admin`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and query ilike '%audit_records%'`;
        await admin`select pg_sleep(0.1)`;
      }
    };
    await Promise.all([killer(), ...Array.from({ length: 16 }, client)]);
    expect(minted.length).toBeGreaterThan(50);
    expect([...failures].filter((code) => code !== "unavailable")).toEqual([]);
    const rows = await admin<{ id: string }[]>`select details ->> 'token_id' as id from audit_records`;
    const recorded = new Set(rows.map(({ id }) => id));
    expect(minted.filter((id) => !recorded.has(id))).toEqual([]);
    await untilWorking();
  }, 60_000);
});
