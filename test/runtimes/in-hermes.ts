// The part of the suite that needs no runtime, on the bare VM of Hermes: it has no `console`, but `print`.
import "./hermes-globals.ts";
import { runCases } from "./room.ts";
import { STATE_MACHINE } from "./state-machine.ts";

const { print } = globalThis as unknown as { print(line: string): void };
runCases(STATE_MACHINE, undefined, print).catch((error: unknown) => print(`not ok: ${String(error)}`));
