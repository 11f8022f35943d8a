// A Next.js example of ours, built and served beside `conduit dev`.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "vitest";
import type { DevFile } from "../support/conduit-process.ts";
import { ROOT } from "../support/source-file.ts";
import { until } from "../support/until.ts";

const BIN = join(ROOT, "node_modules/.bin");

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${BIN}:${process.env.PATH}`,
  NEXT_TELEMETRY_DISABLED: "1",
  NODE_ENV: "production",
});

/** Runs a command to its end and gives what it printed. Ends the test run when it fails. */
export function runInProduction(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, env: environment(), encoding: "utf8" });
  expect(status, stdout + stderr).toBe(0);
  return stdout;
}

/** What an app is started with. */
export interface NextApp {
  /** Program and arguments that are Next.js's own command. */
  readonly command: readonly [program: string, ...args: string[]];
  readonly cwd: string;
  /** Where it is served, on a free port of this machine. */
  readonly origin: string;
  /** What the app's sign-in needs besides its password. */
  readonly env: Readonly<Record<string, string>>;
  /** What people sign in with. */
  readonly password: string;
  readonly dev: DevFile;
}

/** Starts a built app; resolves when it serves. The caller ends it. */
export async function startNext({ command, cwd, origin, env, password, dev }: NextApp): Promise<ChildProcess> {
  const [program, ...first] = command;
  const next = spawn(program, [...first, "start", "-p", new URL(origin).port, "-H", "127.0.0.1"], {
    cwd,
    env: {
      ...environment(),
      ...env,
      DEMO_PASSWORD: password,
      CONDUIT_URL: `${dev.proxy_url}/${dev.link_id}`,
      CONDUIT_LINK_TOKEN: dev.link_token,
      CONDUIT_JWT_SECRET: dev.hs256_secret,
      CONDUIT_ISSUER: dev.iss,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (next.stdout) void text(next.stdout);
  await until("Next.js serves", () =>
    fetch(origin).then(
      ({ ok }) => ok || undefined,
      () => undefined,
    ),
  );
  return next;
}
