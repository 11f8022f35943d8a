// The runtimes that are fetched for this alone: every Node line, workerd, Hermes. Linux on x64, as their packages are.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasRuntimes, installOnDemand } from "../support/on-demand.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { startTokenWorld, type TokenWorld } from "../support/token-world.ts";
import { CASES, DONE, STATE_CASES } from "./counts.ts";
import { bundleForHermes, HERMES_FOLDER, hermesc, transformForReactNative } from "./hermes.ts";
import { outcomeOf, runProgram } from "./program.ts";
import { buildSdk, bundleSuite } from "./sdk-build.ts";
import { startWorkerd, type Workerd } from "./workerd.ts";

const INSTALL_TIMEOUT_MS = 300_000;
const dir = makeTmpDir();
let programs: string;
let world: TokenWorld;

beforeAll(async () => {
  if (!hasRuntimes) return;
  programs = installOnDemand("runtimes");
  buildSdk(dir.path);
  world = await startTokenWorld();
}, INSTALL_TIMEOUT_MS);
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

describe.runIf(hasRuntimes)("Node", () => {
  let suite: string;
  beforeAll(async () => {
    suite = await bundleSuite(dir.path, "in-process");
  });

  /** The version is said, or a manifest could name one and npm bring another. 24.14.0: a 401 to a streamed body is an error there. */
  test.concurrent.each([
    ["node20", "v20.20.2"],
    ["node22", "v22.23.3"],
    ["node24-14", "v24.14.0"],
    ["node26", "v26.10.0"],
  ])("%s (%s) keeps every guarantee, and ends by itself", async (name, version) => {
    const program = join(programs, name, "bin/node");
    expect(spawnSync(program, ["--version"], { encoding: "utf8" }).stdout.trim()).toBe(version);
    const { rest, passed, stderr, code } = await runProgram(program, [suite, world.url], dir.path);
    expect(rest, stderr).toEqual(DONE);
    expect([passed, code]).toEqual([CASES, 0]);
  });
});

describe.runIf(hasRuntimes)("workerd", () => {
  let workerd: Workerd;
  beforeAll(async () => {
    workerd = await startWorkerd(join(programs, "workerd/bin/workerd"), await bundleSuite(dir.path, "in-worker"));
  });
  afterAll(() => workerd?.[Symbol.asyncDispose]());

  const ask = async (path: string, timeoutMs = 30_000) => {
    const response = await fetch(`${workerd.url}${path}`, { signal: AbortSignal.timeout(timeoutMs) });
    return response.text();
  };

  test("keeps every guarantee", async () => {
    const { rest, passed } = outcomeOf((await ask(`/run?world=${world.url}`)).split("\n"));
    expect(rest).toEqual(DONE);
    expect(passed).toBe(CASES);
  });

  /** A request leaves in the middle of what it began; then others call. */
  async function abandon(kind: "client" | "naive" | "keys"): Promise<(timeoutMs: number) => Promise<string>> {
    world.set(kind, { slow: { times: 1, delayMs: 300 } });
    const query = `kind=${kind}&room=${encodeURIComponent(`${world.url}/${kind}`)}`;
    expect(await ask(`/abandon?${query}`)).toBe("left");
    return (timeoutMs) => ask(`/call?${query}`, timeoutMs);
  }

  test("a refresh whose request has gone holds later requests for its time limit, not for ever", async () => {
    const call = await abandon("client");
    expect(["resolved", "refresh_timeout"]).toContain(await call(3_000));
    expect(await call(3_000)).toBe("resolved");
    // And another refresh, which cancels the timer that an earlier request has set.
    world.set("client", { expire: true });
    const { refreshes } = world.log("client");
    expect(await call(3_000)).toBe("resolved");
    expect(world.log("client")).toMatchObject({ refreshes: refreshes + 1, reuses: 0 });
  });

  test("so does the fetch of an issuer's keys", async () => {
    const call = await abandon("keys");
    await call(10_000);
    expect(await call(3_000)).toBe("resolved");
  });

  test("the trap is real: a promise that all requests share never settles again", async () => {
    const call = await abandon("naive");
    for (let attempt = 0; attempt < 2; attempt += 1) await expect(call(2_000)).rejects.toThrow("timeout");
  });
});

describe.runIf(hasRuntimes)("Hermes", () => {
  test("the core's decisions are the same on the VM, after React Native's preset", async () => {
    const script = await bundleForHermes(dir.path);
    const vm = join(programs, "hermes-engine-cli", HERMES_FOLDER, "hermes");
    const { rest, passed, stderr } = await runProgram(vm, [script], dir.path);
    expect(rest, stderr).toEqual([`done ${STATE_CASES}`]);
    expect(passed).toBe(STATE_CASES);
  });

  test("its compiler takes every published script, as it is and after the preset", async () => {
    const scripts = globSync("dist/**/*.cjs", { cwd: dir.path });
    expect(scripts.length).toBeGreaterThan(10);
    const out = join(dir.path, "out.hbc");
    for (const name of scripts) {
      const code = await readFile(join(dir.path, name), "utf8");
      for (const text of [code, await transformForReactNative(code)]) {
        const file = join(dir.path, "one.js");
        await writeFile(file, text);
        const compiled = spawnSync(hermesc, ["-emit-binary", "-O", "-w", "-out", out, file], { encoding: "utf8" });
        expect(compiled, name).toMatchObject({ status: 0 });
      }
    }
  }, 60_000);
});
