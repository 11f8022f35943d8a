import { type HttpListenerOptions, listenHttp } from "./http-listener.ts";
import type { Listener } from "./port.ts";

/** What the data plane gives to its listener. */
export type ProxyListenerOptions = Omit<HttpListenerOptions, "flag">;

/** The port that clients' requests come in by: HTTP/1.1 only, with the data plane's own limits and handlers. */
export const listenProxy = (options: ProxyListenerOptions): Promise<Listener> =>
  listenHttp({ ...options, flag: "proxy-port" });
