// The suite as a program: Node, Deno and Bun. Its one argument is the token world's URL.
import { CONFORMANCE, leaveBehind } from "./conformance.ts";
import { runCases } from "./room.ts";
import { STATE_MACHINE } from "./state-machine.ts";

const [world = ""] = process.argv.slice(2);
const say = (line: string) => console.log(line);
await runCases(STATE_MACHINE, undefined, say);
await runCases(CONFORMANCE, { world }, say);
leaveBehind();
