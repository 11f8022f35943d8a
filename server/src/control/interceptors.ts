import type { Interceptor } from "@connectrpc/connect";
import type { Log } from "../log.ts";
import type { Random } from "../random.ts";
import { access } from "./access.ts";
import type { Authenticator } from "./authenticate.ts";
import { deadline } from "./deadline.ts";
import { outcome } from "./outcome.ts";
import { validation } from "./validation.ts";

/** contract.md 8: how long a unary call may take at most. */
export const UNARY_DEADLINE_MS = 60_000;

/** What every call passes, outermost first. Access comes before validation: strangers learn nothing from field errors. */
export const createInterceptors = (authenticator: Authenticator, log: Log, random: Random): Interceptor[] => [
  outcome(log, random),
  access(authenticator),
  deadline(UNARY_DEADLINE_MS),
  validation(),
];
