import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { expect, test } from "vitest";
import { makeTmpDir } from "../support/tmp-dir.ts";

const FOLDER = "server/src/store/migrations";

test("the migrations make the tables that the schema describes: nobody forgot `npm run migration`", () => {
  using tmp = makeTmpDir("conduit-migrations-");
  cpSync(FOLDER, tmp.path, { recursive: true });
  const out = relative(process.cwd(), tmp.path);
  const args = ["generate", "--dialect", "postgresql", "--schema", "./server/src/store/schema*.ts", "--out", out];
  const run = spawnSync("node_modules/.bin/drizzle-kit", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  expect(`${run.stdout}${run.stderr}`).toContain("No schema changes");
  expect(readdirSync(tmp.path).sort()).toEqual(readdirSync(FOLDER).sort());
}, 60_000);

test("every migration stands in the journal, once, in the order of its number", () => {
  const { entries } = JSON.parse(readFileSync(`${FOLDER}/meta/_journal.json`, "utf8")) as {
    entries: ReadonlyArray<{ readonly idx: number; readonly tag: string }>;
  };
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".sql"));
  expect(entries.map(({ tag }) => `${tag}.sql`)).toEqual(files.sort());
  expect(entries.map(({ idx, tag }) => tag.startsWith(`${idx}`.padStart(4, "0")))).not.toContain(false);
});
