import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { ExitError, refusedByEnvironment } from "./model/exit.ts";
import { SecretText } from "./model/secret-text.ts";

/** Only the owner reads and writes. */
const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;

/** Makes a directory that only the owner may enter. */
export function makePrivateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: PRIVATE_DIRECTORY });
}

/** Writes a new file that only the owner may read; fails when it exists (`wx`), so that no key is lost. */
export function writePrivateFile(path: string, text: string): void {
  makePrivateDirectory(dirname(path));
  writeFileSync(path, text, { mode: PRIVATE_FILE, flag: "wx" });
  chmodSync(path, PRIVATE_FILE);
}

/**
 * Writes a file that only the owner may read in the place of whatever was there, in one step: a crash leaves the old one or
 * the new one, and the new one is on the disk when this returns.
 */
export function replacePrivateFile(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, "wx", PRIVATE_FILE);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renamePrivateFile(temporary, path);
}

/** Gives a file another name in the same directory, in one step that is on the disk when this returns. */
export function renamePrivateFile(from: string, to: string): void {
  renameSync(from, to);
  const directory = openSync(dirname(to), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Reads a secret from a file that others must not be able to read. `what` names the setting in errors. */
export function readPrivateFile(path: string, what: string): SecretText {
  let text: string;
  try {
    if ((statSync(path).mode & 0o077) !== 0 && process.platform !== "win32")
      throw refusedByEnvironment(`${what}: ${path} can be read by others: chmod 600 it`);
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof ExitError) throw cause;
    throw refusedByEnvironment(`${what}: ${path} cannot be read`, cause);
  }
  return new SecretText(text.trim());
}

/** Development only: the master key in a file beside the data, made on the first start. */
export function developmentMasterKey(path: string): { readonly key: SecretText; readonly isNew: boolean } {
  const isNew = !existsSync(path);
  if (isNew) writePrivateFile(path, `${randomBytes(32).toString("base64")}\n`);
  return { key: readPrivateFile(path, "master key"), isNew };
}
