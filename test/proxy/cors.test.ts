// contract.md 6.
import { describe, expect, test } from "vitest";
import { startHttpServer } from "../support/http-server.ts";
import { LINK_TOKEN, linkTokenOf, type ProxyOptions, startProxy } from "./harness.ts";

const APP = "https://app.example";
const EXPOSED = "X-Conduit-Error, X-Request-ID, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate";

async function proxyOf(options: Omit<ProxyOptions, "baseUrl"> = {}) {
  const upstream = await startHttpServer();
  return { upstream, proxy: await startProxy({ baseUrl: upstream.url, ...options }) };
}

const preflight = (url: string, origin = APP) =>
  fetch(url, {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
  });

const allowed = (answer: Response) => answer.headers.get("access-control-allow-origin");

describe("preflights", () => {
  test("are answered 204 before any token, and reach no upstream", async () => {
    const { upstream, proxy } = await proxyOf({
      link: {
        cors: { origins: [], headers: ["X-Custom"], credentials: false },
        rules: [{ effect: "ALLOW", methods: ["PROPFIND"], path: "/**", query: {}, claims: [], message: "" }],
      },
    });
    const answer = await preflight(`${proxy.url}/x`);
    expect(answer.status).toBe(204);
    expect(allowed(answer)).toBe("*");
    expect(answer.headers.get("access-control-allow-methods")).toBe(
      "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND",
    );
    expect(answer.headers.get("access-control-allow-headers")).toBe(
      "authorization, content-type, x-access-token, x-debug-jwt, idempotency-key, traceparent, dpop, x-custom",
    );
    expect(answer.headers.get("access-control-max-age")).toBe("600");
    expect(answer.headers.get("vary")).toBe("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    expect(answer.headers.get("x-request-id")).toBeTruthy();
    expect(upstream.requests).toEqual([]);
    await upstream.close();
  });

  test("let a page resume an event stream: Last-Event-ID is allowed to who asks for it", async () => {
    const { upstream, proxy } = await proxyOf();
    const headers = { origin: APP, "access-control-request-method": "GET" };
    for (const url of [`${proxy.url}/events`, `http://127.0.0.1:${proxy.port}/no-such-link/events`]) {
      const asked = { ...headers, "access-control-request-headers": "authorization,last-event-id" };
      const answer = await fetch(url, { method: "OPTIONS", headers: asked });
      expect(answer.headers.get("access-control-allow-headers")).toMatch(/^authorization, .+, dpop, last-event-id$/);
    }
    await upstream.close();
  });

  test("of unknown and disabled links look like those of an open one", async () => {
    const { upstream, proxy } = await proxyOf({ link: { state: "DISABLED" } });
    for (const url of [`http://127.0.0.1:${proxy.port}/no-such-link/x`, `${proxy.url}/x`]) {
      const answer = await preflight(url);
      expect([answer.status, allowed(answer)]).toEqual([204, "*"]);
    }
    await upstream.close();
  });

  test("any other OPTIONS is an ordinary request", async () => {
    const { upstream, proxy } = await proxyOf();
    expect((await fetch(`${proxy.url}/x`, { method: "OPTIONS", headers: { origin: APP } })).status).toBe(401);
    expect((await proxy.call("/x", { method: "OPTIONS" })).status).toBe(200);
    await upstream.close();
  });
});

describe("which origins may read answers", () => {
  const withOrigins = (name: string, allowedOrigins: string[]) => linkTokenOf(name, { name, allowedOrigins });

  test("any, while some way in has no origins of its own", async () => {
    const tokens = [
      linkTokenOf(),
      { ...withOrigins("other", [APP]), name: "projects/demo/links/demo-link/tokens/other" },
    ];
    const { upstream, proxy } = await proxyOf({ tokens });
    expect(allowed(await preflight(`${proxy.url}/x`, "https://elsewhere.example"))).toBe("*");
    await upstream.close();
  });

  test("those of the tokens, when every way in has some", async () => {
    const { upstream, proxy } = await proxyOf({ tokens: [linkTokenOf(LINK_TOKEN, { allowedOrigins: [APP] })] });
    expect(allowed(await preflight(`${proxy.url}/x`))).toBe(APP);
    expect(allowed(await preflight(`${proxy.url}/x`, "https://elsewhere.example"))).toBeNull();
    const real = await proxy.call("/x", { headers: { origin: APP } });
    expect([real.status, allowed(real), real.headers.get("access-control-expose-headers")]).toEqual([
      200,
      APP,
      EXPOSED,
    ]);
    const denied = await proxy.call("/x", { headers: { origin: "https://elsewhere.example" } });
    expect([denied.status, denied.headers.get("x-conduit-error"), allowed(denied)]).toEqual([
      403,
      "origin_denied",
      null,
    ]);
    await upstream.close();
  });

  test("a mode that lets requests in without a token is a way in without origins", async () => {
    const tokens = [linkTokenOf(LINK_TOKEN, { allowedOrigins: [APP] })];
    const { upstream, proxy } = await proxyOf({ tokens, link: { linkTokenMode: "OPTIONAL" } });
    expect(allowed(await preflight(`${proxy.url}/x`, "https://elsewhere.example"))).toBe("*");
    await upstream.close();
  });

  test("those of the link, with credentials where it says so; others get their answer without the header", async () => {
    const { upstream, proxy } = await proxyOf({ link: { cors: { origins: [APP], headers: [], credentials: true } } });
    const own = await proxy.call("/x", { headers: { origin: APP } });
    expect([allowed(own), own.headers.get("access-control-allow-credentials")]).toEqual([APP, "true"]);
    const other = await proxy.call("/x", { headers: { origin: "https://elsewhere.example" } });
    expect([other.status, allowed(other), other.headers.get("access-control-allow-credentials")]).toEqual([
      200,
      null,
      null,
    ]);
    await upstream.close();
  });
});

test.each([
  ["unknown link", "/no-such-link/x", {}],
  ["missing link token", "/demo-link/x", {}],
  ["wrong user token", "/demo-link/x", { "x-access-token": LINK_TOKEN, authorization: "Bearer nonsense" }],
])("a refusal can be read by pages: %s", async (_what, path, headers) => {
  const { upstream, proxy } = await proxyOf();
  const answer = await fetch(`http://127.0.0.1:${proxy.port}${path}`, { headers: { origin: APP, ...headers } });
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect([allowed(answer), answer.headers.get("access-control-expose-headers")]).toEqual(["*", EXPOSED]);
  await upstream.close();
});
