import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { findFreePort } from "../support/ports.ts";
import { until } from "../support/until.ts";

/** A worker that answers on a loopback port. */
export interface Workerd extends AsyncDisposable {
  readonly url: string;
}

/** workerd's configuration: one isolate, one port, and a network that may reach this machine, which its own default refuses. */
const configOf = (script: string, port: number) => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "worker", esModule = embed "${script}")], compatibilityDate = "2026-04-01")),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`;

/** Starts the worker in `script`, an ES module; what it logs goes to `stderr`. */
export async function startWorkerd(
  program: string,
  script: string,
  stderr: "inherit" | "ignore" = "inherit",
): Promise<Workerd> {
  const port = await findFreePort();
  const config = join(dirname(script), `worker-${port}.capnp`);
  await writeFile(config, configOf(basename(script), port));
  const child = spawn(program, ["serve", config], { stdio: ["ignore", "ignore", stderr] });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  try {
    await until("workerd listens", () => isReady(url));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, [Symbol.asyncDispose]: stop };
}

const isReady = (url: string) =>
  fetch(url).then(
    ({ ok }) => ok || undefined,
    () => undefined,
  );
