import { existsSync } from "node:fs";
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { createDatabase } from "./postgres.ts";
import { startPostgres } from "./postgres-server.ts";

async function query(url: string, text: string): Promise<unknown> {
  const sql = postgres(url, { max: 1 });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end();
  }
}

describe("the PostgreSQL of the tests", () => {
  test("gives every caller an empty database of its own", async () => {
    const [first, second] = await Promise.all([createDatabase(), createDatabase()]);
    expect(first).not.toBe(second);
    await query(first, "create table only_here (id int)");
    expect(await query(second, "select to_regclass('only_here') as found")).toEqual([{ found: null }]);
  });

  test("stops, and leaves no folder", async () => {
    const server = await startPostgres();
    const [row] = (await query(server.url, "show data_directory")) as [{ data_directory: string }];
    expect(existsSync(row.data_directory)).toBe(true);
    await server.stop();
    expect(existsSync(row.data_directory)).toBe(false);
    await expect(query(server.url, "select 1")).rejects.toThrow();
  });
});
