export { type ConduitCallbacks, type ConduitCallbacksOptions, conduitCallbacks } from "./callbacks.ts";
export { createProxyHandler, type PagesRequest, type ProxyHandler, type ProxyHandlerOptions } from "./proxy-handler.ts";
