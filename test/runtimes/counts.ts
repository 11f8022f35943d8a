import { CONFORMANCE } from "./conformance.ts";
import { STATE_MACHINE } from "./state-machine.ts";

/** How many cases there are: a suite that stops early says less. */
export const STATE_CASES = Object.keys(STATE_MACHINE).length;
const NETWORK_CASES = Object.keys(CONFORMANCE).length;
export const CASES = STATE_CASES + NETWORK_CASES;

/** The lines a suite ends its two parts with. */
export const DONE = [`done ${STATE_CASES}`, `done ${NETWORK_CASES}`];
