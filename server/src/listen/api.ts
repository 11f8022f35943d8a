import type { DescService } from "@bufbuild/protobuf";
import type { HandlerContext, Interceptor } from "@connectrpc/connect";

/** A service and its implementation: connect's `Partial<ServiceImpl<typeof service>>`, checked where it is written. */
export interface ServiceMount {
  readonly service: DescService;
  /** Methods by local name. A method that is missing answers UNIMPLEMENTED, after the interceptors. */
  readonly implementation: object;
}

/** What the control plane gives to both its listeners. */
export interface Api {
  readonly services: readonly ServiceMount[];
  /** Outermost first: errors, authentication, validation. */
  readonly interceptors: readonly Interceptor[];
  /** Called before the body is read or decoded; throws a ConnectError to refuse. May set context values. */
  readonly gate?: (context: HandlerContext) => void | Promise<void>;
  /**
   * For a path that is no method: throws a ConnectError unless the call carries a valid credential of any kind. So a
   * stranger cannot tell methods that exist from those that do not (S21). Absent = such paths are UNIMPLEMENTED to all.
   */
  readonly authenticate?: (header: Headers) => Promise<unknown>;
}

/** Longest request message, and answer to a unary call (contract.md 8). */
export const MESSAGE_MAX_BYTES = 1024 * 1024;

/** Longest a unary call takes, whatever deadline the client asks for (contract.md 8). */
export const UNARY_MAX_MS = 60_000;
