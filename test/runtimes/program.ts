import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

/** What a program printed, and how it ended. */
export interface Outcome {
  /** Lines of stdout that are not `ok …`. */
  readonly rest: readonly string[];
  readonly passed: number;
  readonly stderr: string;
  readonly code: number | null;
}

/** Runs a suite's program to its end; one that does not end by itself is ended after 60 s, with code `null`. */
export async function runProgram(program: string, args: readonly string[], cwd: string): Promise<Outcome> {
  const child = spawn(program, args, { cwd, timeout: 60_000, stdio: ["ignore", "pipe", "pipe"] });
  const [out, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject)),
  ]);
  return { ...outcomeOf(out.trim().split("\n")), stderr, code };
}

/** Splits a suite's lines. */
export function outcomeOf(lines: readonly string[]): Pick<Outcome, "rest" | "passed"> {
  const rest = lines.filter((line) => !line.startsWith("ok "));
  return { rest, passed: lines.length - rest.length };
}
