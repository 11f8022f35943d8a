import { readFileSync, readlinkSync, statSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import type { Clock } from "../clock.ts";
import { refusedByEnvironment } from "../model/exit.ts";

/** Whoever holds the lock: written into its file. */
interface Holder {
  readonly pid: number;
  /** When the process began, as the system counts it: a later process may have got the same id. "" = not known. */
  readonly start: string;
  /** Boot and process namespace: elsewhere the id means nothing. */
  readonly system: string;
}

/** The holder's sign of life on its file, for those who cannot look up its process. */
const SIGN_INTERVAL_MS = 5_000;
/** Without a sign for so long, a holder in another container or before a reboot is gone. */
const SIGN_MAX_AGE_MS = 30_000;

/** A taken lock. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Takes the lock of a data directory: PGlite has none of its own, and two processes on one directory lose data silently.
 * The file is made exclusively; one left by a process that is gone is taken over.
 * @throws ExitError (3) while another process holds it
 */
export function lockDirectory(path: string, directory: string, clock: Clock): DirectoryLock {
  const own = currentHolder();
  if (!create(path, own)) {
    takeOver(path, directory, clock, own);
  }
  const sign = setInterval(() => touch(path, clock), SIGN_INTERVAL_MS);
  sign.unref();
  return {
    release() {
      clearInterval(sign);
      remove(path);
    },
  };
}

/** Replaces a dead holder's file. Only one process may try at a time, else both could remove the other's fresh lock. */
function takeOver(path: string, directory: string, clock: Clock, own: Holder): void {
  const claim = `${path}.takeover`;
  if (!create(claim, own)) {
    if (!isOld(claim, clock)) throw inUse(directory, "another process that is starting");
    remove(claim);
    throw refusedByEnvironment(`a start on the data directory ${directory} was interrupted: try again`);
  }
  try {
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder, path, clock, own)) throw inUse(directory, `process ${holder.pid}`);
    remove(path);
    if (!create(path, own)) throw inUse(directory, "another process that is starting");
  } finally {
    remove(claim);
  }
}

const inUse = (directory: string, by: string) =>
  refusedByEnvironment(`the data directory ${directory} is in use by ${by}: stop it first, or give another --data-dir`);

function currentHolder(): Holder {
  return {
    pid: process.pid,
    start: startOf(process.pid),
    system: `${read("/proc/sys/kernel/random/boot_id")} ${namespace()}`,
  };
}

function isAlive(holder: Holder, path: string, clock: Clock, own: Holder): boolean {
  if (holder.system !== own.system) return !isOld(path, clock);
  try {
    process.kill(holder.pid, 0);
  } catch (cause) {
    // EPERM: it lives, and belongs to someone else.
    if ((cause as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return holder.start === "" || holder.start === startOf(holder.pid);
}

/** Field 22 of /proc/<pid>/stat; the name in field 2 may hold anything, so count from its closing bracket. */
const startOf = (pid: number): string => read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ")[19] ?? "";

function namespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** False when the file exists. */
function create(path: string, holder: Holder): boolean {
  try {
    writeFileSync(path, JSON.stringify(holder), { flag: "wx", mode: 0o600 });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw cause;
  }
}

/** Undefined when the file is gone, or cut short by a crash: either way nobody holds it. */
function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(read(path)) as Holder;
  } catch {
    return undefined;
  }
}

function isOld(path: string, clock: Clock): boolean {
  try {
    return clock.now() - statSync(path).mtimeMs > SIGN_MAX_AGE_MS;
  } catch {
    return false;
  }
}

function touch(path: string, clock: Clock): void {
  const seconds = clock.now() / 1_000;
  try {
    utimesSync(path, seconds, seconds);
  } catch {
    // The file is gone with its directory: nothing to guard any more.
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
  }
}
