import { readFileSync } from "node:fs";
import { wrongSetting } from "../model/exit.ts";
import type { Output } from "./output.ts";

/** How long a pipe that nobody named may stay silent before nothing is expected of it: whoever starts us may never close it. */
const SILENT_MS = 2_000;

/** What `process.stdin` is to us. */
export type TokenStream = AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean; destroy(): unknown };

/**
 * A token from a file (`-` = standard input) or, without one, from standard input when that is not a terminal; never from
 * the command line, which other users of the machine can read. "" = none.
 * @throws ExitError (2) when the file cannot be read
 */
export async function readToken(path: string | undefined, stdin: TokenStream, output: Output): Promise<string> {
  if (path !== undefined && path !== "-") return readFile(path).trim();
  if (path === undefined && stdin.isTTY === true) return "";
  const text = await readStream(stdin, path === "-" ? undefined : SILENT_MS);
  if (text === undefined) output.err("No token came on standard input: going on without one.");
  return (text ?? "").trim();
}

function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw wrongSetting("--token-file: the file cannot be read");
  }
}

/** Undefined = it stayed open and silent. @param silentMs undefined = wait for its end, however long */
async function readStream(stdin: TokenStream, silentMs: number | undefined): Promise<string | undefined> {
  let text = "";
  let isSilent = false;
  const giveUp = () => {
    isSilent = true;
    stdin.destroy();
  };
  const timer = silentMs === undefined ? undefined : setTimeout(giveUp, silentMs);
  try {
    for await (const chunk of stdin) {
      clearTimeout(timer);
      text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
    }
  } catch (error) {
    if (!isSilent) throw error;
  } finally {
    clearTimeout(timer);
  }
  return isSilent ? undefined : text;
}
