// One project per kind of test, named after its folder; `unit` is everything else under test/. Run one of them with
// `npx vitest run --config .ci/vitest.config.ts --project unit [file]`, all that belong to a commit with `npm test`.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Folders of test/ that are a project of their own, with the time one test may take. */
const FOLDERS = { sdk: 10_000, e2e: 60_000, runtimes: 60_000, browser: 60_000, interop: 60_000, faults: 120_000 };

/** Workspaces are imported as TypeScript source: by vite (`resolve`) and by Node in the workers (`execArgv`). */
const CONDITION = "conduit-source";
const conditions = [CONDITION, "module", "node", "development|production"];

/** Native modules run on phones only. */
const FAKE_PHONE = fileURLToPath(new URL("../test/sdk/adapters/fake-phone.ts", import.meta.url));

/** Patterns by commas: what a step of run-all.mjs leaves out. */
const leftOut = (process.env.CONDUIT_TEST_EXCLUDE ?? "").split(",").filter((pattern) => pattern !== "");

const projectOf = (name: string, testTimeout: number, include: string[], exclude: string[] = []) => ({
  extends: true as const,
  test: { name, include, exclude: [...exclude, ...leftOut], testTimeout, hookTimeout: Math.max(30_000, testTimeout) },
});

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  resolve: { conditions, alias: { "expo-secure-store": FAKE_PHONE, "react-native": FAKE_PHONE } },
  ssr: { resolve: { conditions } },
  test: {
    pool: "forks",
    maxWorkers: 2,
    retry: 0,
    execArgv: [`--conditions=${CONDITION}`],
    globalSetup: ["test/support/tmp-setup.ts", "test/support/postgres-setup.ts"],
    unstubEnvs: true,
    unstubGlobals: true,
    restoreMocks: true,
    projects: [
      projectOf(
        "unit",
        10_000,
        ["test/**/*.test.ts"],
        Object.keys(FOLDERS).map((folder) => `test/${folder}/**`),
      ),
      ...Object.entries(FOLDERS).map(([folder, timeoutMs]) =>
        projectOf(folder, timeoutMs, [`test/${folder}/**/*.test.{ts,tsx}`]),
      ),
    ],
  },
});
