// Starts `conduit` as a process of its own, from the source, the way npm start does; outside vitest too.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { findFreePort } from "./ports.ts";
import { makeTmpDir } from "./tmp-dir.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** PGlite compiles itself on the first start: 3 s on a quiet machine, 11 s on a busy one. */
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 40_000;
const POLL_MS = 10;
/** What sealed a test's data opens it again after a restart: base64 of 32 bytes. */
const MASTER_KEY = Buffer.alloc(32, "conduit-test").toString("base64");

/** The listeners of each command. */
const LISTENERS = {
  dev: ["proxy", "http", "grpc", "admin"],
  server: ["http", "grpc", "admin"],
  proxy: ["proxy", "admin"],
} as const;

export type LongRunning = keyof typeof LISTENERS;
export type Listener = (typeof LISTENERS)[LongRunning][number];

/** `<data-dir>/dev.json` (contract 11). */
export interface DevFile {
  readonly proxy_url: string;
  readonly control_url: string;
  readonly admin_url: string;
  readonly grpc_address: string;
  readonly api_key: string;
  readonly project: string;
  readonly link: string;
  readonly link_id: string;
  readonly link_token: string;
  readonly open_link_id: string;
  readonly issuer: string;
  readonly iss: string;
  readonly hs256_secret: string;
  readonly built_in_iss: string;
  readonly upstream_url: string;
  readonly pid: number;
  readonly start_time: string;
}

export interface ConduitOptions {
  /** Flags after those that this launcher gives (data directory, ports, `--host 127.0.0.1`, `--log json`); the last wins. */
  readonly args?: readonly string[];
  /** Added to PATH, HOME, TMPDIR and, for `server`, a master key; nothing else of the test's environment gets through. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a new folder, removed after the stop. */
  readonly dataDir?: string;
  /** Ports that must be these, for a second start on the first one's. `dev` asks for 0 else, the others find free ones. */
  readonly ports?: Partial<Record<Listener, number>>;
}

export interface ConduitProcess extends AsyncDisposable {
  readonly pid: number;
  readonly dataDir: string;
  /** Ports of `server` and `proxy`; of `dev` only those that were given: its others stand in `dev`. */
  readonly ports: Readonly<Record<Listener, number>>;
  /** What dev.json says. Throws when there is none: only the command `dev` writes it. */
  readonly dev: DevFile;
  /** Everything printed so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves when the process is gone: its exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Sends the signal (default SIGTERM) and waits for the end; SIGKILL after 40 s, and a rejection that says so. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** Waits until stdout or stderr contains the text or matches. */
  untilPrinted(what: string | RegExp, timeoutMs?: number): Promise<void>;
}

/** What a command that ends by itself said. */
export interface Finished {
  readonly exit: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `dev`, `server` or `proxy` and waits for `conduit ready`; rejects with all output if that does not come. */
export async function launchConduit(command: LongRunning, options: ConduitOptions = {}): Promise<ConduitProcess> {
  const ownDir = options.dataDir === undefined ? makeTmpDir("conduit-data-") : undefined;
  const dataDir = options.dataDir ?? ownDir?.path ?? "";
  const ports = await choosePorts(command, options.ports ?? {});
  const portFlags = Object.entries(ports).flatMap(([name, port]) => [`--${name}-port`, `${port}`]);
  const ownFlags = ["--data-dir", dataDir, ...portFlags, "--host", "127.0.0.1", "--log", "json"];
  const hasKey = Object.keys(options.env ?? {}).some((name) => name.startsWith("CONDUIT_MASTER_KEY"));
  const key = command === "server" && !hasKey ? { CONDUIT_MASTER_KEY: MASTER_KEY } : {};
  const child = spawnConduit([command, ...ownFlags, ...(options.args ?? [])], { ...key, ...options.env });
  const started = watch(child, dataDir, ports, () => ownDir?.[Symbol.dispose]());
  await untilReady(started, child);
  return started;
}

/** Runs a command that ends by itself, such as `api-key create`, and returns what it said; never rejects for its exit code. */
export async function runConduit(
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; stdin?: string } = {},
): Promise<Finished> {
  const child = spawnConduit(args, options.env ?? {}, options.stdin ?? "");
  const output = collectOutput(child);
  const exit = await exitOf(child);
  return { exit, stdout: output.stdout, stderr: output.stderr };
}

function spawnConduit(args: readonly string[], env: Readonly<Record<string, string>>, stdin?: string): ChildProcess {
  const { PATH, HOME, TMPDIR } = process.env;
  const inherited = Object.entries({ PATH, HOME, TMPDIR }).filter(([, value]) => value !== undefined);
  const child = spawn(process.execPath, ["--conditions=conduit-source", "server/bin/conduit.mjs", ...args], {
    cwd: ROOT,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  // The process may end before it has read its input.
  child.stdin?.on("error", () => {}).end(stdin);
  return child;
}

async function choosePorts(command: LongRunning, given: Partial<Record<Listener, number>>) {
  const chosen: Record<Listener, number> = { proxy: 0, http: 0, grpc: 0, admin: 0 };
  const entries = LISTENERS[command].map(async (name) => {
    chosen[name] = given[name] ?? (command === "dev" ? 0 : await findFreePort());
    return [name, chosen[name]] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Record<Listener, number>;
}

function collectOutput(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  return output;
}

/** Settles after all output was read ("close"), not merely when the process is gone ("exit"). */
function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal ?? 1));
  });
}

function watch(
  child: ChildProcess,
  dataDir: string,
  ports: Record<Listener, number>,
  cleanUp: () => void,
): ConduitProcess {
  const output = collectOutput(child);
  const exited = exitOf(child);
  exited.then(cleanUp, cleanUp);
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    child.kill(signal);
    const exit = await Promise.race([exited, delay(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    if (exit !== undefined) return exit;
    child.kill("SIGKILL");
    throw new Error(`conduit did not stop within ${STOP_TIMEOUT_MS} ms of ${signal}\n${output.stderr}`);
  };
  return {
    pid: child.pid ?? 0,
    dataDir,
    ports,
    exited,
    stop,
    get dev() {
      return JSON.parse(readFileSync(join(dataDir, "dev.json"), "utf8")) as DevFile;
    },
    get stdout() {
      return output.stdout;
    },
    get stderr() {
      return output.stderr;
    },
    async untilPrinted(what, timeoutMs = 10_000) {
      const deadline = performance.now() + timeoutMs;
      const isPrinted = (text: string) => (typeof what === "string" ? text.includes(what) : what.test(text));
      while (!isPrinted(output.stdout) && !isPrinted(output.stderr)) {
        if (performance.now() > deadline) throw new Error(`conduit did not print ${what}\n${describe(output)}`);
        await delay(POLL_MS);
      }
    },
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

async function untilReady(started: ConduitProcess, child: ChildProcess): Promise<void> {
  const isReady = () => /^conduit ready\b/m.test(started.stdout);
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!isReady()) {
    if (child.exitCode !== null || child.signalCode !== null) {
      const exit = await started.exited;
      throw new Error(`conduit ended (${exit}) before it was ready\n${describe(started)}`);
    }
    if (performance.now() > deadline) {
      await started.stop("SIGKILL");
      throw new Error(`conduit was not ready within ${READY_TIMEOUT_MS} ms\n${describe(started)}`);
    }
    await delay(POLL_MS);
  }
}

const describe = (output: { stdout: string; stderr: string }) => `stdout:\n${output.stdout}\nstderr:\n${output.stderr}`;
