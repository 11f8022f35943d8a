import type { ContextValues, HandlerContext, Interceptor } from "@connectrpc/connect";
import type { Log } from "../log.ts";
import type { Random } from "../random.ts";
import { access, identify } from "./access.ts";
import type { Authenticator } from "./authenticate.ts";
import { requestIdKey } from "./call.ts";
import { outcome, tellFailure } from "./outcome.ts";
import { validation } from "./validation.ts";

/**
 * What every call passes, outermost first. Access comes before validation: strangers learn nothing from field errors.
 * Deadlines are the listeners' (`listen/call-bounds.ts`).
 */
export const createInterceptors = (authenticator: Authenticator, log: Log, random: Random): Interceptor[] => [
  outcome(log, random),
  access(authenticator),
  validation(),
];

/** What runs before a listener reads the body: identifies the caller. Throws a ConnectError, as clients are told. */
export type Gate = (
  context: Pick<HandlerContext, "method" | "requestHeader"> & { readonly values: ContextValues },
) => Promise<void>;

export function createGate(authenticator: Authenticator, log: Log, random: Random): Gate {
  return async ({ method, requestHeader, values }) => {
    const requestId = random.uuid();
    values.set(requestIdKey, requestId);
    try {
      await identify(authenticator, method, requestHeader, values);
    } catch (thrown) {
      throw tellFailure(log, method, requestId, thrown);
    }
  };
}
