import type { DescService } from "@bufbuild/protobuf";
import type { ConnectError, ContextValues, HandlerContext, Interceptor } from "@connectrpc/connect";
import type { ConduitError } from "../model/errors.ts";

/** A service and its implementation: connect's `Partial<ServiceImpl<typeof service>>`, checked where it is written. */
export interface ServiceMount {
  readonly service: DescService;
  /** Methods by local name. A method that is missing answers UNIMPLEMENTED, after the interceptors. */
  readonly implementation: object;
}

/** What the control plane gives to both its listeners. */
export interface Api {
  readonly services: readonly ServiceMount[];
  /** Outermost first: errors (which all that follow are told by), access, validation. Health passes them too. */
  readonly interceptors: readonly Interceptor[];
  /** Called before the body is read or decoded; throws a ConnectError to refuse. May set context values. */
  readonly gate?: (context: HandlerContext) => void | Promise<void>;
  /**
   * Who a call comes from, by the peer's address and the values of `X-Forwarded-For`. Absent = the peer, whatever the
   * header says: anybody can write it.
   */
  readonly clientAddress?: (peerAddress: string, forwardedFor: readonly string[]) => string;
  /** Values of a call by the address of who calls; read by `gate` and `interceptors`. Absent = none. */
  readonly peerValues?: (address: string) => ContextValues;
  /**
   * Throws a ConduitError or ConnectError unless the call carries a valid credential of any kind. Asked where no method is
   * called (`unknown-method.ts`). Absent = strangers are told what is unknown.
   */
  readonly authenticate?: (header: Headers) => Promise<unknown>;
  /** The form in which clients are told of a failure, for those that listeners find themselves. */
  readonly describe: (error: ConduitError, requestId: string) => ConnectError;
}

/** Longest request message (contract.md 8). */
export const REQUEST_MAX_BYTES = 1024 * 1024;

/** Longest answer message: what gRPC clients take by default. */
export const ANSWER_MAX_BYTES = 4 * 1024 * 1024;
