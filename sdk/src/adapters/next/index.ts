export { type ConduitCallbacks, type ConduitCallbacksOptions, conduitCallbacks } from "./callbacks.ts";
export {
  createProxyHandler,
  type PagesRequest,
  type PagesResponse,
  type ProxyHandler,
  type ProxyHandlerOptions,
  type RouteContext,
} from "./proxy-handler.ts";
export type { RelayOptions, UserToken } from "./relay.ts";
