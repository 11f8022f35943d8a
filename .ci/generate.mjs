// `npm run generate`: writes proto/gen from proto/**/*.proto, and pages of documentation from source. `--check`
// writes nothing and fails when anything generated, the protos' format or the migrations' journal is not what it should be.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { apiReference } from "../sdk/build/api-reference.mjs";
import { errorPage } from "./error-page.mjs";
import { vendorValidate } from "./vendor-validate.mjs";

const VENDOR = "proto/.vendor";
const GENERATED = "proto/gen";
/** Pages made from source: path, how, what from. */
const PAGES = [
  ["server/ERRORS.md", errorPage, "the errors"],
  ["sdk/API.md", apiReference, "the SDK's doc comments"],
];
const MIGRATIONS = "server/src/store/migrations";
/** Other people's protos keep their own format. */
const FOREIGN_PROTOS = [`${VENDOR}/buf`, "proto/google", "proto/grpc"];

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const isCheck = process.argv.includes("--check");
const problems = [];

/** Runs buf; its output goes to the terminal. Returns whether it was content. */
function buf(...args) {
  const run = spawnSync("node_modules/.bin/buf", args, { stdio: ["ignore", 2, 2] });
  if (run.error) throw run.error;
  return run.status === 0;
}

function formatProtos() {
  const foreign = FOREIGN_PROTOS.filter((path) => existsSync(path)).flatMap((path) => ["--exclude-path", path]);
  const isFormatted = buf("format", "proto", ...foreign, ...(isCheck ? ["--diff", "--exit-code"] : ["--write"]));
  if (!isFormatted) problems.push("proto/**/*.proto: not in buf's format; run `npm run generate`");
}

const readText = (path) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);

/** Brings proto/gen to what was generated; unchanged files are left alone, so a running server does not notice. */
function syncGenerated(fresh) {
  const paths = new Set([...globSync("**/*.ts", { cwd: fresh }), ...globSync("**/*.ts", { cwd: GENERATED })]);
  for (const path of paths) {
    const from = join(fresh, path);
    const to = join(GENERATED, path);
    if (readText(from) === readText(to)) continue;
    if (isCheck) problems.push(`${to}: not what the protos generate; run \`npm run generate\` and commit it`);
    else if (!existsSync(from)) rmSync(to);
    else {
      mkdirSync(dirname(to), { recursive: true });
      cpSync(from, to);
    }
  }
}

function generateProtos() {
  if (globSync("proto/{conduit,google,grpc}/**/*.proto").length === 0) return;
  vendorValidate(VENDOR);
  formatProtos();
  if (!buf("lint", "proto")) problems.push("proto: buf lint (above)");
  const scratch = mkdtempSync(join(tmpdir(), "conduit-generate-"));
  try {
    if (buf("generate", "--output", scratch)) syncGenerated(join(scratch, GENERATED));
    else problems.push("proto: buf generate (above)");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function generatePages() {
  for (const [path, make, source] of PAGES) {
    const page = make();
    if (readText(path) === page) continue;
    if (isCheck) problems.push(`${path}: not what ${source} generate; run \`npm run generate\` and commit it`);
    else writeFileSync(path, page);
  }
}

/** drizzle-kit exits 0 with an empty journal on some schemas, and its migrator skips an entry whose time goes back. */
function checkMigrations() {
  const journal = `${MIGRATIONS}/meta/_journal.json`;
  if (!existsSync(MIGRATIONS)) return;
  if (!existsSync(journal)) {
    problems.push(`${journal}: missing; run \`npm run migration\``);
    return;
  }
  const { entries } = JSON.parse(readFileSync(journal, "utf8"));
  if (entries.length === 0) problems.push(`${journal}: no entries`);
  entries.forEach((entry, index) => {
    if (!existsSync(`${MIGRATIONS}/${entry.tag}.sql`)) problems.push(`${MIGRATIONS}/${entry.tag}.sql: missing`);
    if (index > 0 && entry.when <= entries[index - 1].when)
      problems.push(`${journal}: ${entry.tag} is not later than the entry before it`);
  });
  for (const file of globSync("*.sql", { cwd: MIGRATIONS }))
    if (!entries.some((entry) => `${entry.tag}.sql` === file))
      problems.push(`${MIGRATIONS}/${file}: not in the journal`);
}

generateProtos();
generatePages();
checkMigrations();
for (const problem of problems) console.error(`generate: ${problem}`);
if (problems.length > 0) process.exit(1);
console.error(isCheck ? "generate: everything is up to date" : "generate: done");
