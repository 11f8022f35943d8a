import { createInterface } from "node:readline/promises";
import { wrongSetting } from "../model/exit.ts";

/** A terminal to ask on: `process.stdin`. */
export type Terminal = NodeJS.ReadableStream & { readonly isTTY?: boolean };

/**
 * Whether the person at the terminal agrees; true without asking when `yes` was given.
 * @throws ExitError (2) when there is nobody to ask
 */
export async function confirm(question: string, yes: boolean, stdin: Terminal): Promise<boolean> {
  if (yes) return true;
  if (stdin.isTTY !== true) throw wrongSetting("--yes: give it to go on without being asked");
  const terminal = createInterface({ input: stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
