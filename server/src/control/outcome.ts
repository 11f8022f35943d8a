import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Log } from "../log.ts";
import { ConduitError } from "../model/errors.ts";
import type { Random } from "../random.ts";
import { methodId } from "./access.ts";
import { requestIdKey } from "./call.ts";
import { REQUEST_ID_HEADER, toConnectError } from "./error-mapping.ts";

/** Codes whose cause an operator must be able to find. */
const LOGGED: readonly Code[] = [Code.Internal, Code.Unavailable];

/** Outermost of ours: gives every call a request id, and what it throws the form that clients are told. */
export function outcome(log: Log, random: Random): Interceptor {
  return (next) => async (request) => {
    const requestId = request.contextValues.get(requestIdKey) || random.uuid();
    const tell = (thrown: unknown): ConnectError =>
      tellFailure(log, request.method, requestId, reasonFor(thrown, request.signal));
    try {
      const response = await next(request);
      response.header.set(REQUEST_ID_HEADER, requestId);
      return response.stream ? { ...response, message: rethrow(response.message, tell) } : response;
    } catch (thrown) {
      throw tell(thrown);
    }
  };
}

/** The failure as the client is told it; its cause goes to the log when it is ours. */
export function tellFailure(log: Log, method: DescMethod, requestId: string, thrown: unknown): ConnectError {
  const error = toConnectError(thrown, requestId);
  // A stream that is sent to another replica is no failure.
  const isRoutine = thrown instanceof ConduitError && thrown.code === "not_ready";
  if (LOGGED.includes(error.code) && !isRoutine)
    log.error({ request_id: requestId, method: methodId(method), err: causeOf(thrown) }, "call failed");
  return error;
}

async function* rethrow<T>(messages: AsyncIterable<T>, tell: (thrown: unknown) => ConnectError): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (thrown) {
    throw tell(thrown);
  }
}

/** What an abort made of a call is the signal's reason, not the AbortError of whatever was waiting. */
function reasonFor(thrown: unknown, signal: AbortSignal): unknown {
  const isDescribed = thrown instanceof ConnectError || thrown instanceof ConduitError;
  return signal.aborted && !isDescribed ? signal.reason : thrown;
}

/** The fault behind a public failure. */
const causeOf = (thrown: unknown): unknown =>
  thrown instanceof ConduitError && thrown.cause !== undefined ? thrown.cause : thrown;
