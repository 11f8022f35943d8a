import type { Interceptor, StreamResponse, UnaryRequest } from "@connectrpc/connect";
import { ConduitError } from "../model/errors.ts";

/** Longest a unary call takes, whatever deadline the client asks for (contract.md 8). */
const UNARY_MAX_MS = 60_000;

export interface CallBoundsOptions {
  /** Aborted when the listener drains, with `stoppingReason()`. */
  readonly stopping: AbortSignal;
  /** Default 60 s. */
  readonly unaryMaxMs?: number;
}

type Next = Parameters<Interceptor>[0];

/** Why a draining listener ends a stream: the client is to connect elsewhere. */
export const stoppingReason = (): ConduitError =>
  new ConduitError("not_ready", { detail: "The server is stopping: connect again" });

/**
 * The innermost interceptor of both listeners, so that its failures are told as all others. A unary call ends at its
 * deadline or after `unaryMaxMs` even if its implementation does not notice, and is left to finish when the listener
 * drains; a stream, which would never end by itself, sees its signal aborted then.
 */
export function callBounds({ stopping, unaryMaxMs = UNARY_MAX_MS }: CallBoundsOptions): Interceptor {
  return (next) => async (request) => {
    if (!request.stream) return await boundedUnary(next, request, unaryMaxMs);
    const response = await next({ ...request, signal: AbortSignal.any([request.signal, stopping]) });
    return response.stream ? { ...response, message: untilStopped(response.message, stopping) } : response;
  };
}

async function boundedUnary(next: Next, request: UnaryRequest, maxMs: number): ReturnType<Next> {
  // Nobody would learn what it did.
  request.signal.throwIfAborted();
  const end = new AbortController();
  const ended = new Promise<never>((_resolve, reject) => {
    end.signal.addEventListener("abort", () => reject(end.signal.reason), { once: true });
  });
  const follow = (): void => end.abort(request.signal.reason);
  const timer = setTimeout(() => end.abort(new ConduitError("deadline_exceeded")), maxMs);
  request.signal.addEventListener("abort", follow, { once: true });
  try {
    return await Promise.race([next({ ...request, signal: end.signal }), ended]);
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener("abort", follow);
  }
}

/** A stream that ends quietly because of the stop did not end well: clients must not take it for complete. */
async function* untilStopped(messages: StreamResponse["message"], stopping: AbortSignal): StreamResponse["message"] {
  yield* messages;
  stopping.throwIfAborted();
}
