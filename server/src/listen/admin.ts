import type { IncomingMessage, RequestListener } from "node:http";
import type { Registry } from "prom-client";
import { isLoopbackHost } from "../model/address.ts";
import type { PlainAnswer } from "../model/plain-http.ts";
import { judgeHost } from "./allowed-host.ts";
import { listenHttp } from "./http-listener.ts";
import { sendPlain } from "./plain-route.ts";
import type { Listener } from "./port.ts";

export interface AdminOptions {
  /** Default 127.0.0.1: there is no credential on this port. */
  readonly host?: string;
  /** 0 = any free one. */
  readonly port: number;
  /** What `/metrics` shows. */
  readonly registry: Registry;
  /** Undefined = ready; else why not, in a few words: the body of `/readyz`. */
  readonly notReady: () => string | undefined;
}

const text = (status: number, body: string, type = "text/plain; charset=utf-8"): PlainAnswer => ({
  status,
  headers: { "Content-Type": type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" },
  body,
});

/** The admin port: `/healthz` (the process answers), `/readyz` (it can do its work), `/metrics` (Prometheus). */
export async function listenAdmin(options: AdminOptions): Promise<Listener> {
  const { host = "127.0.0.1", port } = options;
  const request: RequestListener = (incoming, response) => {
    answerTo(incoming, isLoopbackHost(host), options)
      .then((answer) => sendPlain(response, answer))
      .catch(() => response.destroy());
  };
  return await listenHttp({ host, port, flag: "admin-port", handlers: { request } });
}

async function answerTo(request: IncomingMessage, isStrict: boolean, options: AdminOptions): Promise<PlainAnswer> {
  const { host, origin, "sec-fetch-site": site } = request.headers;
  // DNS rebinding: a page must not read the metrics of the machine its visitor sits at.
  const isFromBrowser = origin !== undefined || site !== undefined;
  const verdict = judgeHost({ host, isFromBrowser }, { names: [], isStrict });
  if (verdict !== "allowed") return text(421, "Not served under this host name.\n");
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "Only GET.\n");
  const [path = ""] = (request.url ?? "").split("?", 1);
  return await (ROUTES[path]?.(options) ?? text(404, "Not found.\n"));
}

const ROUTES: Readonly<Record<string, (options: AdminOptions) => PlainAnswer | Promise<PlainAnswer>>> = {
  "/healthz": () => text(200, "ok\n"),
  "/readyz": ({ notReady }) => {
    const reason = notReady();
    return reason === undefined ? text(200, "ready\n") : text(503, `${reason}\n`);
  },
  "/metrics": async ({ registry }) => text(200, await registry.metrics(), registry.contentType),
};
