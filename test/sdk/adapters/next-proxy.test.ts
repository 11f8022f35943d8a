// The Next.js route in front of a link: under the App Router, called as Next.js calls it, and under `pages/api` by Next.js' own resolver.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createProxyHandler, type PagesRequest, type ProxyHandler } from "../../../sdk/src/adapters/next/index.ts";
import { type Answerer, type HttpServer, startHttpServer } from "../../support/http-server.ts";

/** Not imported: Next.js' types would change those of Node for every file of the repository. */
const { apiResolver } = createRequire(import.meta.url)("next/dist/server/api-utils/node/api-resolver.js") as {
  apiResolver(
    request: IncomingMessage,
    response: ServerResponse,
    query: object,
    module: object,
    context: object,
    propagateError: boolean,
  ): Promise<void>;
};

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => byte);
const PREFIX = "/api/proxy";

let link: HttpServer;
let answer: Answerer;
let session: string | null;
let app: Server | undefined;
/** As the file under `pages/api` would export it. */
let config: { api?: { bodyParser: boolean } };

beforeEach(async () => {
  session = "user-jwt";
  answer = () => ({ body: { ok: true } });
  config = { api: { bodyParser: false } };
  link = await startHttpServer((request, raw) => answer(request, raw));
});
afterEach(async () => {
  app?.closeAllConnections();
  app?.close();
  app = undefined;
  await link.close();
});

function makeHandler(url = `${link.url}/my-link`): ProxyHandler {
  return createProxyHandler({ url, linkToken: "cl_pub_x", getToken: () => session });
}

const decodedSegments = (path: string) =>
  path
    .slice(PREFIX.length + 1)
    .split("/")
    .filter(Boolean)
    .map(decodeURIComponent);

/** `pages/api/proxy/[...path].ts`, served by what Next.js serves it with. */
function servePages(handler: ProxyHandler) {
  return (request: IncomingMessage, response: ServerResponse) => {
    const [pathname = "", search] = (request.url ?? "").split("?");
    const searchParams = new URLSearchParams(search);
    const query = { ...Object.fromEntries(searchParams), path: decodedSegments(pathname) };
    const context = { previewModeId: "", previewModeEncryptionKey: "", previewModeSigningKey: "" };
    const module = { default: handler, config };
    void apiResolver(request, response, query, module, context, false).catch(() => response.destroy());
  };
}

/** `app/api/proxy/[...path]/route.ts`: Next.js makes a `Request` and streams the `Response`. */
function serveApp(handler: ProxyHandler) {
  return async (message: IncomingMessage, response: ServerResponse) => {
    const controller = new AbortController();
    response.once("close", () => controller.abort());
    const { pathname } = new URL(message.url ?? "", "http://app");
    const hasBody = message.method !== "GET" && message.method !== "HEAD";
    const request = new Request(`http://app${message.url}`, {
      method: message.method ?? "GET",
      headers: Object.entries(message.headers).map(([name, value]) => [name, String(value)] as [string, string]),
      signal: controller.signal,
      ...(hasBody && { body: message as unknown as BodyInit, duplex: "half" as const }),
    });
    const result = await handler(request, { params: Promise.resolve({ path: decodedSegments(pathname) }) });
    response.writeHead(result.status, Object.fromEntries(result.headers));
    try {
      for await (const chunk of result.body ?? []) response.write(chunk);
      response.end();
    } catch {
      response.destroy();
    }
  };
}

async function serve(make: (handler: ProxyHandler) => Parameters<typeof createServer>[1], handler = makeHandler()) {
  app = createServer(make(handler) as (request: IncomingMessage, response: ServerResponse) => void);
  app.listen(0, "127.0.0.1");
  await once(app, "listening");
  const origin = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
  return {
    origin,
    call: (path: string, init: RequestInit = {}) => fetch(`${origin}${PREFIX}${path}`, { redirect: "manual", ...init }),
  };
}

describe.each([
  ["pages/api", servePages],
  ["App Router", serveApp],
])("%s", (_name, make) => {
  test("without a session: 401 { error: Not authenticated }, and nothing is sent", async () => {
    session = null;
    const { call } = await serve(make);
    const response = await call("/users/123");
    expect([response.status, await response.json()]).toEqual([401, { error: "Not authenticated" }]);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(link.requests).toEqual([]);
  });

  test.each([
    ["/a%2Fb/c%20d/%E2%82%AC", "encoded segments"],
    ["/x?path=other&path=y&q=a%26b&q=%2B", "queries, also one named like the segment"],
    ["/x/?q", "a trailing slash, an empty value"],
    ["/auth0%7C42/.well-known/a.b;c", "dots and semicolons"],
  ])("%s arrives as it is: %s", async (path) => {
    const { call } = await serve(make);
    await call(path);
    expect(link.requests.map(({ target }) => target)).toEqual([`/my-link${path}`]);
  });

  test.each(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("%s stays what it is", async (method) => {
    const { call } = await serve(make);
    expect((await call("/x", { method })).status).toBe(200);
    expect(link.requests.map((request) => request.method)).toEqual([method]);
  });

  test("both credentials are ours; the browser's cookie, Authorization and link token stay here", async () => {
    const { call } = await serve(make);
    await call("/x", {
      headers: {
        Authorization: "Bearer theirs",
        Cookie: "next-auth.session-token=secret",
        "X-Access-Token": "theirs",
        "X-Forwarded-For": "1.2.3.4",
        "X-Custom": "kept",
        "If-None-Match": '"v1"',
      },
    });
    const [request] = link.requests;
    expect(request?.header("authorization")).toEqual(["Bearer user-jwt"]);
    expect(request?.header("x-access-token")).toEqual(["cl_pub_x"]);
    expect(["cookie", "x-forwarded-for"].map((name) => request?.header(name))).toEqual([[], []]);
    expect(["x-custom", "if-none-match"].map((name) => request?.header(name))).toEqual([["kept"], ['"v1"']]);
  });

  test("body bytes arrive as they are, with their length and type", async () => {
    const { call } = await serve(make);
    await call("/x", { method: "POST", body: EVERY_BYTE, headers: { "Content-Type": "application/x-thing" } });
    const [request] = link.requests;
    expect(request?.body).toEqual(Buffer.from(EVERY_BYTE));
    expect([request?.header("content-length"), request?.header("content-type")]).toEqual([
      ["256"],
      ["application/x-thing"],
    ]);
  });

  test("JSON is not parsed and written anew", async () => {
    const { call } = await serve(make);
    const body = '{ "n": 12345678901234567890, "n": 1.0 }';
    await call("/x", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    expect(link.requests[0]?.body.toString()).toBe(body);
  });

  test("a body of unknown or great length streams", async () => {
    const { call } = await serve(make);
    const chunk = new Uint8Array(64 * 1024).fill(7);
    const stream = () =>
      new ReadableStream<Uint8Array>({
        start(controller) {
          for (let count = 0; count < 40; count += 1) controller.enqueue(chunk);
          controller.close();
        },
      });
    await call("/x", { method: "POST", body: stream(), duplex: "half" } as RequestInit);
    await call("/x", { method: "PUT", body: new Uint8Array(2_000_000).fill(8) });
    expect(link.requests.map(({ body }) => body.length)).toEqual([40 * 64 * 1024, 2_000_000]);
  });

  test("status and headers come back; what is said for the proxy's origin does not", async () => {
    answer = () => ({
      status: 429,
      headers: {
        "X-Conduit-Error": "rate_limited",
        "Retry-After": "7",
        ETag: '"v2"',
        "Content-Security-Policy": "sandbox",
        "Access-Control-Allow-Origin": "*",
        "Set-Cookie": ["a=1", "b=2"],
        "Strict-Transport-Security": "max-age=1",
      },
      body: { code: "rate_limited" },
    });
    const { call } = await serve(make);
    const response = await call("/x");
    expect([response.status, await response.json()]).toEqual([429, { code: "rate_limited" }]);
    const { headers } = response;
    expect(
      ["x-conduit-error", "retry-after", "etag", "content-security-policy"].map((name) => headers.get(name)),
    ).toEqual(["rate_limited", "7", '"v2"', "sandbox"]);
    expect(
      ["access-control-allow-origin", "set-cookie", "strict-transport-security"].map((name) => headers.get(name)),
    ).toEqual([null, null, null]);
  });

  test.each([204, 304])("%i has no body and is passed on", async (status) => {
    answer = () => ({ status });
    const { call } = await serve(make);
    const response = await call("/x");
    expect([response.status, await response.text()]).toEqual([status, ""]);
  });

  test("a great answer to a slow reader comes whole, and nothing piles up", async () => {
    const warnings: string[] = [];
    const note = (warning: Error) => warnings.push(warning.message);
    process.on("warning", note);
    const chunk = Buffer.alloc(256 * 1024, 7);
    answer = async (_request, { response }) => {
      for (let count = 0; count < 60; count += 1) if (!response.write(chunk)) await once(response, "drain");
      response.end();
      return undefined;
    };
    const { call } = await serve(make);
    const reader = (await call("/x")).body?.getReader();
    let bytes = 0;
    for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
      bytes += part.value.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    process.off("warning", note);
    expect([bytes, warnings]).toEqual([60 * 256 * 1024, []]);
  });

  test("a token no header can carry is the app's error, not the proxy's", async () => {
    session = "not a token";
    const handler = makeHandler();
    await expect(handler(new Request("http://app/api/proxy/x"), {})).rejects.toThrow("token must be");
    expect(link.requests).toEqual([]);
  });

  test("a compressed answer is readable", async () => {
    answer = () => ({ headers: { "Content-Encoding": "gzip" }, body: gzipSync("hello ".repeat(100)) });
    const { call } = await serve(make);
    expect(await (await call("/x")).text()).toBe("hello ".repeat(100));
  });

  test.each([
    ["/my-link/next%20page?a=1", `${PREFIX}/next%20page?a=1`],
    ["../up", `${PREFIX}/up`],
    ["https://elsewhere.example/x", "https://elsewhere.example/x"],
  ])("a redirect to %s leads the browser to %s, and is not followed here", async (location, expected) => {
    answer = () => ({ status: 302, headers: { Location: location } });
    const { call } = await serve(make);
    const response = await call("/deep/page");
    expect([response.status, response.headers.get("Location"), link.requests.length]).toEqual([302, expected, 1]);
  });

  test("events arrive while the stream is open; a browser that leaves ends the call", async () => {
    const closed = Promise.withResolvers<void>();
    answer = (_request, { response }) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("data: 1\n\n");
      response.once("close", () => closed.resolve());
      return undefined;
    };
    const { call } = await serve(make);
    const controller = new AbortController();
    const response = await call("/events", { signal: controller.signal });
    const first = await response.body?.getReader().read();
    expect(Buffer.from(first?.value ?? []).toString()).toBe("data: 1\n\n");
    controller.abort();
    await closed.promise;
  });

  test("an answer cut short is cut short for the browser too", async () => {
    answer = (_request, { response }) => {
      response.writeHead(200, { "Content-Length": "100" });
      response.write("begin");
      setImmediate(() => response.destroy());
      return undefined;
    };
    const { call } = await serve(make);
    await expect(call("/x").then((response) => response.text())).rejects.toThrow(TypeError);
  });

  test("another site's page cannot act in the user's name", async () => {
    const { call } = await serve(make);
    const response = await call("/x", { method: "POST", headers: { "Sec-Fetch-Site": "cross-site" } });
    expect([response.status, link.requests.length]).toEqual([403, 0]);
    expect((await call("/x", { headers: { "Sec-Fetch-Site": "same-origin" } })).status).toBe(200);
  });

  test("a proxy that cannot be reached is a 502", async () => {
    const { call } = await serve(make, makeHandler("http://127.0.0.1:1/my-link"));
    const response = await call("/x");
    expect([response.status, await response.json()]).toEqual([502, { error: "The proxy could not be reached" }]);
  });
});

test("dot segments cannot reach another link (under the App Router, Next.js resolves them before it chooses the route)", async () => {
  const { origin } = await serve(servePages);
  const socket = connect(Number(new URL(origin).port), "127.0.0.1");
  socket.end(`GET ${PREFIX}/%2e%2e/other-link/x HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n`);
  expect(await text(socket)).toMatch(/^HTTP\/1.1 400 /);
  expect(link.requests).toEqual([]);
});

test("pages/api with Next.js' body parser: a parsed body is refused with the line that is missing, nothing is sent", async () => {
  config = {};
  const { call } = await serve(servePages);
  const response = await call("/x", { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } });
  expect([response.status, link.requests.length]).toEqual([500, 0]);
  expect((await call("/x")).status).toBe(200);
  await call("/x", { method: "POST", body: "as text", headers: { "Content-Type": "text/plain" } });
  expect(link.requests.at(-1)?.body.toString()).toBe("as text");
});

test("getToken gets the request of its router, and plain http off the own machine is refused", async () => {
  const seen: unknown[] = [];
  const handler = createProxyHandler({
    url: `${link.url}/my-link`,
    getToken(request: PagesRequest & { readonly cookies: Record<string, string> }) {
      seen.push(request.cookies.session);
      return { accessToken: "of-the-session", expiresIn: 60 };
    },
  });
  const { call } = await serve(servePages, handler);
  await call("/x", { headers: { Cookie: "session=s1" } });
  expect([seen, link.requests[0]?.header("authorization")]).toEqual([["s1"], ["Bearer of-the-session"]]);
  const insecure = createProxyHandler({ url: "http://proxy.example/l", getToken: () => "jwt" });
  await expect(insecure(new Request("http://app/x"), {})).rejects.toThrow("https");
});
