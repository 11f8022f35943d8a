// `npm test`: every check that belongs to a commit, one after the other; `--full` adds the slow ones and `--only <word>`
// runs the steps whose name contains the word. Nothing is stopped early. Ends with `N passed, N failed[, N skipped]`.
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { values: options } = parseArgs({
  options: { full: { type: "boolean", default: false }, only: { type: "string" } },
});

const TOTAL_BUDGET_S = options.full ? 60 * 60 : 12 * 60;
/** A step that hangs must not hang the whole. */
const STEP_TIMEOUT_MS = 30 * 60_000;

/** A command that passes or fails as a whole. */
const command = (name, budgetS, argv, needs) => ({ name, budgetS, argv, needs });
/** A vitest project; files named `*.full.test.ts` belong to `--full`. Not listed while its folder has no test. */
const tests = (name, budgetS, projects, needs, env = {}, exclude = []) => ({
  name,
  budgetS,
  projects,
  needs,
  env,
  exclude,
});
const ON_PGLITE = { CONDUIT_TEST_DATABASE: "pglite" };
const ON_POSTGRES = { CONDUIT_TEST_DATABASE: "postgres" };
/** `conduit dev` has no other database than PGlite; the last one makes a PGlite of its own. */
const OF_PGLITE = ["dev*", "seeds", "events.full", "trusted-proxies.full"].map((name) => `test/e2e/${name}.test.ts`);
/** These start PostgreSQL themselves. */
const OF_POSTGRES = ["test/e2e/at-rest.full.test.ts", "test/e2e/audit-seal.full.test.ts"];
/** Seconds of a step, without and with the tests of `--full`. */
const budget = (seconds, fullSeconds) => (options.full ? fullSeconds : seconds);

const STEPS = [
  command("format and lint", 15, ["biome", "check", "--error-on-warnings", "."]),
  command("typecheck", 30, ["tsc", "-p", "tsconfig.json"]),
  command("generated code", 20, ["node", ".ci/generate.mjs", "--check"]),
  command("compatible protos", 15, ["node", ".ci/breaking.mjs"]),
  tests("unit and sdk tests", budget(300, 360), ["unit", "sdk"]),
  command("sdk package", 60, ["npm", "run", "--silent", "check", "-w", "sdk"], "sdk/build/*.mjs"),
  tests("e2e on PGlite", budget(120, 480), ["e2e"], "test/e2e/**/*.test.ts", ON_PGLITE, OF_POSTGRES),
  tests("e2e on PostgreSQL", budget(120, 480), ["e2e"], "test/e2e/**/*.test.ts", ON_POSTGRES, OF_PGLITE),
  tests("sdk on its runtimes", budget(60, 240), ["runtimes"], "test/runtimes/**/*.test.ts"),
  tests("other clients", budget(60, 240), ["interop"], "test/interop/**/*.test.ts"),
  tests("Chromium", options.full ? 300 : 60, ["browser"], "test/browser/**/*.test.{ts,tsx}"),
];
const FULL_STEPS = [tests("faults", 1200, ["faults"], "test/faults/**/*.test.ts")];

/** What decides about the outcome is in the repository, not in the caller's environment. */
function cleanEnvironment() {
  const isForeign = (name) =>
    ["NODE_OPTIONS", "NODE_ENV", "NODE_PATH", "DATABASE_URL", "VITEST"].includes(name) ||
    (name.startsWith("CONDUIT_") && name !== "CONDUIT_VECTORS");
  const kept = Object.entries(process.env).filter(([name]) => !isForeign(name));
  return { ...Object.fromEntries(kept), PATH: `${join(process.cwd(), "node_modules/.bin")}:${process.env.PATH}` };
}

function runCommand([program, ...args], env = {}) {
  const run = spawnSync(program, args, {
    env: { ...cleanEnvironment(), ...env },
    stdio: ["ignore", "inherit", "inherit"],
    timeout: STEP_TIMEOUT_MS,
  });
  if (run.error) console.error(`${program}: ${run.error.message}`);
  return run.status === 0;
}

/** Counts from vitest's report; trusts the exit code more than the report. */
function countTests(file, isOk) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // A file that does not load has no failed test in it: it counts as one.
  const hasFailedTest = (result) => result.assertionResults.some((assertion) => assertion.status === "failed");
  const broken = report.testResults.filter((result) => result.status === "failed" && !hasFailedTest(result)).length;
  const failed = report.numFailedTests + broken;
  const passed = report.numPassedTests;
  // An unhandled error fails the run and no test; a run without a test proves nothing.
  const isSilentFailure = failed === 0 && (!isOk || passed === 0);
  return { passed, failed: isSilentFailure ? 1 : failed, skipped: report.numPendingTests + report.numTodoTests };
}

function runTests({ projects, env, exclude }) {
  const folder = mkdtempSync(join(tmpdir(), "conduit-report-"));
  const report = join(folder, "report.json");
  const select = projects.flatMap((project) => ["--project", project]);
  // By the environment, read in vitest.config.ts: vitest's own flag does not reach into projects.
  const excluded = [...exclude, ...(options.full ? [] : ["**/*.full.test.ts"])].join(",");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const command = ["vitest", "run", "--config", ".ci/vitest.config.ts", ...select, ...reporters];
  const isOk = runCommand(command, { ...env, CONDUIT_TEST_EXCLUDE: excluded });
  const counts = countTests(report, isOk);
  rmSync(folder, { recursive: true, force: true });
  return counts;
}

function runStep(step) {
  console.log(`\n━━ ${step.name}`);
  const startedAt = performance.now();
  const counts = step.projects ? runTests(step) : { passed: 0, failed: 0, skipped: 0 };
  if (!step.projects) counts[runCommand(step.argv) ? "passed" : "failed"] = 1;
  const result = { ...step, ...counts, seconds: (performance.now() - startedAt) / 1000 };
  console.log(lineOf(result));
  return result;
}

function lineOf({ name, seconds, budgetS, failed }) {
  const time = `${seconds.toFixed(1)} s (budget ${budgetS} s${seconds > budgetS ? ", exceeded" : ""})`;
  return `${name.padEnd(26)} ${time.padEnd(32)} ${failed ? "FAILED" : "ok"}`;
}

const sum = (results, key) => results.reduce((total, result) => total + result[key], 0);

const results = [...STEPS, ...(options.full ? FULL_STEPS : [])]
  .filter((step) => step.needs === undefined || globSync(step.needs).length > 0)
  .filter((step) => options.only === undefined || step.name.toLowerCase().includes(options.only.toLowerCase()))
  .map(runStep);

const [passed, failed, skipped, seconds] = ["passed", "failed", "skipped", "seconds"].map((key) => sum(results, key));
console.log(`\n━━ all\n${results.map(lineOf).join("\n")}`);
console.log(lineOf({ name: "total", seconds, budgetS: TOTAL_BUDGET_S, failed }));
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
if (failed > 0 || passed === 0) process.exitCode = 1;
