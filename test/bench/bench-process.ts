import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { CpuAnswer, Ready } from "./messages.ts";

/** The measured process runs alone on core 0; load and upstream share core 1. */
export const MEASURED_CORE = 0;
export const OTHER_CORE = 1;

const READY_TIMEOUT_MS = 30_000;

/** A child of the benchmark. */
export interface BenchProcess {
  readonly name: string;
  readonly port: number;
  /** Sends a message and resolves with the next answer. */
  ask<Answer>(message: unknown): Promise<Answer>;
  /** CPU time used since the last call (or the start), microseconds. */
  cpuSinceLast(): Promise<number>;
  stop(): void;
}

/** Whether processes can be held to cores here; without that figures are noisier, and the caller says so. */
export const canPin = (): boolean =>
  availableParallelism() > 1 && spawnSync("taskset", ["-V"], { stdio: "ignore" }).status === 0;

/** Starts `test/bench/<file>` with arguments, on one core if possible, and waits until it is ready. */
export async function startProcess(file: string, core: number, args: readonly string[] = []): Promise<BenchProcess> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const node = [process.execPath, "--conditions=conduit-source", path, ...args];
  const [command = "", ...rest] = canPin() ? ["taskset", "-c", String(core), ...node] : node;
  const child = spawn(command, rest, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), READY_TIMEOUT_MS);
  const { port } = await answerOf<Ready>(child, file);
  clearTimeout(timer);
  const ask = <Answer>(message: unknown): Promise<Answer> => {
    const answer = answerOf<Answer>(child, file);
    child.send(message as string);
    return answer;
  };
  let lastMicros = 0;
  return {
    name: file,
    port,
    ask,
    async cpuSinceLast() {
      const { cpuMicros } = await ask<CpuAnswer>("cpu");
      const used = cpuMicros - lastMicros;
      lastMicros = cpuMicros;
      return used;
    },
    stop: () => child.kill("SIGKILL"),
  };
}

async function answerOf<Answer>(child: ChildProcess, name: string): Promise<Answer> {
  const abort = new AbortController();
  const { signal } = abort;
  try {
    const ended = once(child, "exit", { signal }).then(([code]) => {
      throw new Error(`${name} ended by itself (${code})`);
    });
    const [answer] = (await Promise.race([once(child, "message", { signal }), ended])) as [Answer];
    return answer;
  } finally {
    abort.abort();
  }
}
