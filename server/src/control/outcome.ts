import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Log } from "../log.ts";
import { ConduitError } from "../model/errors.ts";
import type { Random } from "../random.ts";
import { methodId } from "./access.ts";
import { REQUEST_ID_HEADER, toConnectError } from "./error-mapping.ts";

/** Codes whose cause an operator must be able to find. */
const LOGGED: readonly Code[] = [Code.Internal, Code.Unavailable];

/** Outermost: gives every call a request id, and what it throws the form that clients are told. */
export function outcome(log: Log, random: Random): Interceptor {
  return (next) => async (request) => {
    const requestId = random.uuid();
    const tell = (thrown: unknown): ConnectError => {
      const reason = reasonFor(thrown, request.signal);
      const error = toConnectError(reason, requestId);
      if (LOGGED.includes(error.code))
        log.error({ request_id: requestId, method: methodId(request.method), err: causeOf(reason) }, "call failed");
      return error;
    };
    try {
      const response = await next(request);
      response.header.set(REQUEST_ID_HEADER, requestId);
      return response.stream ? { ...response, message: rethrow(response.message, tell) } : response;
    } catch (thrown) {
      throw tell(thrown);
    }
  };
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
