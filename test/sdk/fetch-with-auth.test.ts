import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { isConduitError } from "../../sdk/src/index.ts";
import { startHttpServer } from "../support/http-server.ts";
import { LINK_TOKEN, rejection, useFakeLink } from "./fake-link.ts";

const link = useFakeLink();

describe("what is sent", () => {
  test("both credentials and the caller's headers, and nothing more", async () => {
    const { fetchWithAuth } = link.open();
    await fetchWithAuth("/api/users/123?x=%2F", {
      method: "PATCH",
      headers: { "X-Mine": "1" },
      body: new Uint8Array(2),
    });
    const [request] = link.proxy.requests;
    expect([request?.method, request?.target]).toEqual(["PATCH", "/link/api/users/123?x=%2F"]);
    expect(request?.header("authorization")).toEqual(["Bearer t1"]);
    expect(request?.header("x-access-token")).toEqual([LINK_TOKEN]);
    expect(request?.header("x-mine")).toEqual(["1"]);
    expect(request?.header("content-type")).toEqual([]);
  });

  test("without a link token no X-Access-Token of ours, and a caller's Authorization never replaces the user's", async () => {
    const { fetchWithAuth } = link.open({ linkToken: undefined as never });
    await fetchWithAuth("/x", { headers: { authorization: "Basic abc", "x-access-token": "mine" } });
    expect(link.proxy.requests[0]?.header("x-access-token")).toEqual(["mine"]);
    expect(link.tokensSeen()).toEqual(["Bearer t1"]);
  });

  test("a Request keeps its method, headers and body; init wins over it as in fetch", async () => {
    const { fetchWithAuth } = link.open();
    const request = () =>
      new Request(`${link.proxy.url}/link/a`, { method: "PUT", headers: { "x-a": "1" }, body: "text" });
    await fetchWithAuth(request());
    await fetchWithAuth(request(), { method: "POST", headers: { "x-b": "2" }, body: "other" });
    expect(link.proxy.requests.map(({ method, body }) => [method, String(body)])).toEqual([
      ["PUT", "text"],
      ["POST", "other"],
    ]);
    expect(link.proxy.requests.map((each) => [each.header("x-a")[0], each.header("x-b")[0]])).toEqual([
      ["1", undefined],
      [undefined, "2"],
    ]);
  });

  test("a token or link token that no header may carry is refused without appearing in the error", async () => {
    expect(() => link.open({ linkToken: "cl_pub_se\ncret" })).toThrow(TypeError);
    const { fetchWithAuth } = link.open({ getToken: () => "se\ncret" });
    const error = await rejection(fetchWithAuth("/x"));
    expect(isConduitError(error, "refresh_failed")).toBe(true);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("cret");
  });
});

describe("abort and network errors", () => {
  test("an aborted signal ends the wait for a token and sends nothing", async () => {
    const { fetchWithAuth } = link.open({ getToken: () => new Promise<never>(() => {}) });
    const controller = new AbortController();
    const call = fetchWithAuth("/x", { signal: controller.signal });
    const reason = new Error("left");
    controller.abort(reason);
    expect(await rejection(call)).toBe(reason);
    expect(link.proxy.requests).toEqual([]);
  });

  test("a Request's own signal counts too, and init can lift it", async () => {
    const request = () => new Request(`${link.proxy.url}/link/x`, { signal: AbortSignal.abort(new Error("left")) });
    const { fetchWithAuth } = link.open();
    expect(await rejection(fetchWithAuth(request()))).toMatchObject({ message: "left" });
    expect(link.proxy.requests).toEqual([]);
    expect((await fetchWithAuth(request(), { signal: null })).status).toBe(200);
  });

  test("a signal ends a request under way", async () => {
    const controller = new AbortController();
    const hanging = await startHttpServer(() => undefined);
    const { fetchWithAuth } = link.open({ url: `${hanging.url}/link` });
    const call = rejection(fetchWithAuth("/x", { signal: controller.signal }));
    await once(hanging.server, "request");
    controller.abort();
    expect(await call).toMatchObject({ name: "AbortError" });
    await hanging.close();
  });

  test("a signal that ends the wait for a retry rejects with its reason", async () => {
    link.refused.add("t1");
    let round = 0;
    const controller = new AbortController();
    const getToken = () => {
      if (++round === 1) return "t1";
      controller.abort(new Error("left"));
      return new Promise<never>(() => {});
    };
    const { fetchWithAuth } = link.open({ getToken });
    expect(await rejection(fetchWithAuth("/x", { signal: controller.signal }))).toMatchObject({ message: "left" });
  });

  test("the network's errors come as fetch throws them, and end no session", async () => {
    const failure = new TypeError("fetch failed");
    const { fetchWithAuth, conduit } = link.open({ platform: { fetch: () => Promise.reject(failure) } });
    expect(await rejection(fetchWithAuth("/x"))).toBe(failure);
    expect(conduit.state).toBe("ready");
  });
});

test("fetchWithAuth is bound and fits where fetch is expected", async () => {
  const drop: typeof globalThis.fetch = link.open().conduit.fetchWithAuth;
  expect((await drop.call(undefined, "/x")).status).toBe(200);
});

test("after dispose nothing is sent", async () => {
  const { fetchWithAuth, conduit } = link.open();
  conduit.dispose();
  expect(isConduitError(await rejection(fetchWithAuth("/x")), "disposed")).toBe(true);
  expect(link.proxy.requests).toEqual([]);
});
