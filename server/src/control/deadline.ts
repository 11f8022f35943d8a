import type { Interceptor } from "@connectrpc/connect";
import { ConduitError } from "../model/errors.ts";

/**
 * Ends a unary call at its caller's deadline or ours, whichever is first, even when what it waits for does not watch
 * the signal: a caller must not hang on a lock in the database. Streams end by their signal.
 * @param deadlineMs ours
 */
export function deadline(deadlineMs: number): Interceptor {
  return (next) => async (request) => {
    if (request.stream) return next(request);
    const late = Promise.withResolvers<never>();
    const expire = () => late.reject(new ConduitError("deadline_exceeded"));
    const abort = () => late.reject(request.signal.reason);
    const timer = setTimeout(expire, deadlineMs);
    request.signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([next(request), late.promise]);
    } finally {
      clearTimeout(timer);
      request.signal.removeEventListener("abort", abort);
    }
  };
}
