import { Code, ConnectError, type Interceptor, type StreamResponse, type UnaryResponse } from "@connectrpc/connect";
import type { Log } from "../log.ts";
import { UNARY_MAX_MS } from "./api.ts";

export interface CallBoundsOptions {
  readonly log: Log;
  /** Aborted when the listener drains: ends streams with UNAVAILABLE, so that clients go elsewhere. */
  readonly stopping: AbortSignal;
  /** Default 60 s. */
  readonly unaryMaxMs?: number;
}

type Next = Parameters<Interceptor>[0];
type Request = Parameters<Next>[0];

/**
 * The outermost interceptor of both listeners. A unary call ends at its deadline or after `unaryMaxMs` even if its
 * implementation does not notice; what an abort made of a call is the abort's reason, not the AbortError of whatever was
 * waiting (connect's handlers would call that `internal`); a thrown value that is no ConnectError is logged and hidden.
 */
export function callBounds({ log, stopping, unaryMaxMs = UNARY_MAX_MS }: CallBoundsOptions): Interceptor {
  return (next) => (request) =>
    request.stream ? boundedStream(next, request, stopping, log) : boundedUnary(next, request, unaryMaxMs, log);
}

async function boundedUnary(
  next: Next,
  request: Request,
  maxMs: number,
  log: Log,
): Promise<UnaryResponse | StreamResponse> {
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(new ConnectError("the call took too long", Code.DeadlineExceeded)), maxMs);
  const follow = (): void => end.abort(request.signal.reason);
  request.signal.addEventListener("abort", follow, { once: true });
  if (request.signal.aborted) follow();
  const ended = new Promise<never>((_resolve, reject) => {
    end.signal.addEventListener("abort", () => reject(end.signal.reason), { once: true });
    if (end.signal.aborted) reject(end.signal.reason);
  });
  try {
    return await Promise.race([next({ ...request, signal: end.signal }), ended]);
  } catch (cause) {
    throw publicError(cause, end.signal, log);
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener("abort", follow);
  }
}

async function boundedStream(
  next: Next,
  request: Request,
  stopping: AbortSignal,
  log: Log,
): Promise<UnaryResponse | StreamResponse> {
  const signal = AbortSignal.any([request.signal, stopping]);
  try {
    const response = await next({ ...request, signal });
    return response.stream ? { ...response, message: withPublicErrors(response.message, signal, log) } : response;
  } catch (cause) {
    throw publicError(cause, signal, log);
  }
}

async function* withPublicErrors<Message>(
  messages: AsyncIterable<Message>,
  signal: AbortSignal,
  log: Log,
): AsyncGenerator<Message> {
  try {
    yield* messages;
  } catch (cause) {
    throw publicError(cause, signal, log);
  }
  // A stream that ends quietly because of an abort did not end well: clients must not take it for complete.
  if (signal.aborted) throw publicError(signal.reason, signal, log);
}

function publicError(cause: unknown, signal: AbortSignal, log: Log): ConnectError {
  if (signal.aborted) return signal.reason instanceof ConnectError ? signal.reason : canceled(signal.reason);
  if (cause instanceof ConnectError) return cause;
  log.error({ err: cause }, "call failed");
  return new ConnectError("internal error", Code.Internal);
}

const canceled = (cause: unknown): ConnectError =>
  new ConnectError("the client went away", Code.Canceled, undefined, undefined, cause);

/** Reason of `stopping`. */
export const stoppingError = (): ConnectError =>
  new ConnectError("the server is stopping: connect again", Code.Unavailable);
