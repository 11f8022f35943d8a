import { once } from "node:events";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Conduit, type ConduitOptions, createConduit, type Grant, isConduitError } from "../../sdk/src/index.ts";
import { type Answer, type HttpServer, type RecordedRequest, startHttpServer } from "../support/http-server.ts";
import { settle } from "./fake-platform.ts";

const LINK_TOKEN = "cl_pub_testtoken";

/** A stand-in for the proxy: refuses the tokens in `refused` the way the proxy does, else lets the test answer. */
let proxy: HttpServer;
/** Any other origin: nothing of ours may arrive. */
let stranger: HttpServer;
let refused: Set<string>;
let refusal: string;
let answer: (request: RecordedRequest) => Answer;
let conduits: Conduit[] = [];

beforeEach(async () => {
  refused = new Set();
  refusal = "token_expired";
  answer = ({ body }) => ({ body: body.toString("latin1") });
  proxy = await startHttpServer((request) => {
    const [authorization = ""] = request.header("authorization");
    if (!refused.has(authorization.replace("Bearer ", ""))) return answer(request);
    return { status: 401, headers: { "X-Conduit-Error": refusal }, body: { code: refusal } };
  });
  stranger = await startHttpServer();
});

afterEach(async () => {
  for (const conduit of conduits) conduit.dispose();
  conduits = [];
  await Promise.all([proxy.close(), stranger.close()]);
});

/** A client of the link `link`, whose source answers t1, t2, … and counts. */
function open(options: Partial<ConduitOptions> = {}) {
  let round = 0;
  const conduit = createConduit({
    url: `${proxy.url}/link`,
    linkToken: LINK_TOKEN,
    getToken: (): Grant => ({ token: `t${++round}`, expiresIn: 900 }),
    ...options,
  });
  conduits.push(conduit);
  return { ...conduit, conduit, rounds: () => round };
}

const tokensSeen = () => proxy.requests.map((request) => request.header("authorization")[0]);
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => undefined).catch((error: unknown) => error);
const isNotAllowed = async (promise: Promise<unknown>) =>
  isConduitError(await rejection(promise), "origin_not_allowed");

describe("what is sent", () => {
  test("both credentials and the caller's headers, and nothing more", async () => {
    const { fetchWithAuth } = open();
    await fetchWithAuth("/api/users/123?x=%2F", {
      method: "PATCH",
      headers: { "X-Mine": "1" },
      body: new Uint8Array(2),
    });
    const [request] = proxy.requests;
    expect([request?.method, request?.target]).toEqual(["PATCH", "/link/api/users/123?x=%2F"]);
    expect(request?.header("authorization")).toEqual(["Bearer t1"]);
    expect(request?.header("x-access-token")).toEqual([LINK_TOKEN]);
    expect(request?.header("x-mine")).toEqual(["1"]);
    expect(request?.header("content-type")).toEqual([]);
  });

  test("without a link token no X-Access-Token of ours, and a caller's Authorization never replaces the user's", async () => {
    const { fetchWithAuth } = open({ linkToken: undefined as never });
    await fetchWithAuth("/x", { headers: { authorization: "Basic abc", "x-access-token": "mine" } });
    expect(proxy.requests[0]?.header("x-access-token")).toEqual(["mine"]);
    expect(tokensSeen()).toEqual(["Bearer t1"]);
  });

  test("a Request keeps its method, headers and body; init wins over it as in fetch", async () => {
    const { fetchWithAuth } = open();
    const request = () => new Request(`${proxy.url}/link/a`, { method: "PUT", headers: { "x-a": "1" }, body: "text" });
    await fetchWithAuth(request());
    await fetchWithAuth(request(), { method: "POST", headers: { "x-b": "2" }, body: "other" });
    expect(proxy.requests.map(({ method, body }) => [method, String(body)])).toEqual([
      ["PUT", "text"],
      ["POST", "other"],
    ]);
    expect(proxy.requests.map((each) => [each.header("x-a")[0], each.header("x-b")[0]])).toEqual([
      ["1", undefined],
      [undefined, "2"],
    ]);
  });

  test("a token or link token that no header may carry is refused without appearing in the error", async () => {
    expect(() => open({ linkToken: "cl_pub_se\ncret" })).toThrow(TypeError);
    const { fetchWithAuth } = open({ getToken: () => "se\ncret" });
    const error = await rejection(fetchWithAuth("/x"));
    expect(isConduitError(error, "refresh_failed")).toBe(true);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("cret");
  });
});

describe("where it may go", () => {
  const url = () => `${proxy.url}/link`;

  test.each([
    ["/../other/x"],
    ["/%2e%2e/other/x"],
    ["/.%2E/other"],
    ["/a/../../other"],
    ["/\\..\\..\\other"],
    ["/\t../other"],
    ["/.\n./other"],
    ["/.."],
  ])("a path that leaves the link is not sent: %j", async (path) => {
    expect(await isNotAllowed(open().fetchWithAuth(path))).toBe(true);
    expect(proxy.requests).toEqual([]);
  });

  test("an absolute URL, URL object or Request outside the link is not sent, and no token is asked for", async () => {
    const { fetchWithAuth, rounds } = open();
    const { port } = proxy;
    for (const target of [
      `${stranger.url}/link/x`,
      `${url()}-other/x`,
      `${proxy.url}/LINK/x`,
      `${proxy.url}/other/x`,
      `${url()}/../other`,
      url(),
      `http://user:pw@127.0.0.1:${port}/link/x`,
      `http://127.0.0.1.evil.example:${port}/link/x`,
      `http://localhost:${port}/link/x`,
      `https://127.0.0.1:${port}/link/x`,
      "data:text/plain,x",
      "blob:x",
      "javascript:0",
    ]) {
      expect(await isNotAllowed(fetchWithAuth(target)), target).toBe(true);
    }
    expect(await isNotAllowed(fetchWithAuth(new URL(`${stranger.url}/link/x`)))).toBe(true);
    expect(await isNotAllowed(fetchWithAuth(new Request(`${stranger.url}/link/x`)))).toBe(true);
    expect([proxy.requests.length, stranger.requests.length, rounds()]).toEqual([0, 0, 0]);
  });

  test("what lies below the link is sent, however it is written", async () => {
    const { fetchWithAuth } = open();
    const base = url();
    await fetchWithAuth("/");
    await fetchWithAuth("//double");
    await fetchWithAuth(`${base}/b#fragment`);
    await fetchWithAuth(new URL(`${base}/c`));
    await fetchWithAuth(`HTTP://127.0.0.1:${proxy.port}/link/d`);
    await fetchWithAuth(`${base}/x/../e`);
    expect(proxy.requests.map(({ target }) => target)).toEqual([
      "/link/",
      "/link//double",
      "/link/b",
      "/link/c",
      "/link/d",
      "/link/e",
    ]);
  });

  test.each([["api/users"], [""], ["?q"], ["#x"], [" /x"], ["1http://x"]])("%j is a TypeError", async (input) => {
    expect(await rejection(open().fetchWithAuth(input))).toBeInstanceOf(TypeError);
    expect(proxy.requests).toEqual([]);
  });

  test("an allowed origin gets the credentials, whole path segments of it only", async () => {
    const { fetchWithAuth } = open({ allowedOrigins: [`${stranger.url}/second`] });
    await fetchWithAuth(`${stranger.url}/second/x`);
    expect(await isNotAllowed(fetchWithAuth(`${stranger.url}/second-not/x`))).toBe(true);
    expect(stranger.requests.map((request) => request.header("x-access-token"))).toEqual([[LINK_TOKEN]]);
  });

  test.each([
    "http://proxy.example/link",
    "http://127.0.0.1.evil.example/link",
    "http://localhost.evil.example/link",
    "http://0.0.0.0/link",
    "http://[::2]/link",
  ])("plain http off the own machine is refused: %s", (insecure) => {
    const code = (open: () => unknown) => {
      try {
        return open();
      } catch (error) {
        return isConduitError(error) ? error.code : error;
      }
    };
    expect(code(() => createConduit({ url: insecure, getToken: () => "t" }))).toBe("origin_not_allowed");
    const allowedOrigins = [insecure];
    expect(code(() => createConduit({ url: "https://proxy.example/link", allowedOrigins, getToken: () => "t" }))).toBe(
      "origin_not_allowed",
    );
  });

  test.each([
    "https://proxy.example/link",
    "https://proxy.example/link/",
    "https://proxy.example",
    "http://localhost:8080/link",
    "http://127.9.9.9/link",
    "http://[::1]:8080/link",
  ])("%s is a link's URL", (good) => {
    createConduit({ url: good, getToken: () => "t" }).dispose();
    createConduit({ url: new URL(good), getToken: () => "t" }).dispose();
  });

  test.each(["https://u:p@proxy.example/link", "https://proxy.example/link?x", "ftp://x/y", "/link", "proxy.example"])(
    "%s is none: TypeError",
    (bad) => {
      expect(() => createConduit({ url: bad, getToken: () => "t" })).toThrow(TypeError);
    },
  );
});

describe("redirects", () => {
  const redirectOnce = (status: number, location: string) => {
    answer = ({ target, body }) =>
      target.endsWith("/start") ? { status, headers: { location } } : { body: body.toString() };
  };

  test.each([301, 302, 303, 307, 308])(
    "a %i to another origin is not followed: nothing arrives there",
    async (status) => {
      redirectOnce(status, `${stranger.url}/link/x`);
      for (const redirect of [undefined, "follow"] as const) {
        const { fetchWithAuth } = open();
        const call = fetchWithAuth("/start", { method: "POST", body: "x", ...(redirect && { redirect }) });
        expect(await isNotAllowed(call)).toBe(true);
      }
      expect(stranger.requests).toEqual([]);
    },
  );

  test("a redirect to another link of the same proxy is not followed", async () => {
    redirectOnce(302, "/other-link/x");
    expect(await isNotAllowed(open().fetchWithAuth("/start"))).toBe(true);
    expect(proxy.requests).toHaveLength(1);
  });

  test("a redirect within the link is followed, credentials included, relative ones against the answer's URL", async () => {
    answer = ({ target }) => {
      if (target === "/link/a/start") return { status: 302, headers: { location: "b?q=1" } };
      if (target === "/link/a/b?q=1") return { status: 302, headers: { location: "/link/c" } };
      return { body: "there" };
    };
    const response = await open().fetchWithAuth("/a/start");
    expect(await response.text()).toBe("there");
    expect(proxy.requests.map(({ target }) => target)).toEqual(["/link/a/start", "/link/a/b?q=1", "/link/c"]);
    expect(tokensSeen()).toEqual(["Bearer t1", "Bearer t1", "Bearer t1"]);
  });

  test.each([
    // status, method, method after, body kept
    [301, "POST", "GET", false],
    [302, "POST", "GET", false],
    [303, "POST", "GET", false],
    [303, "PUT", "GET", false],
    [303, "HEAD", "HEAD", false],
    [302, "PUT", "PUT", true],
    [307, "POST", "POST", true],
    [308, "DELETE", "DELETE", true],
  ])("after %i a %s becomes %s, as in fetch", async (status, method, after, keepsBody) => {
    redirectOnce(status, "/link/end");
    const body = method === "HEAD" ? null : "payload";
    for (const asRequest of [false, true]) {
      proxy.clear();
      const { fetchWithAuth } = open();
      const init = { method, body, headers: { "content-type": "text/x" } };
      await (asRequest ? fetchWithAuth(new Request(`${proxy.url}/link/start`, init)) : fetchWithAuth("/start", init));
      const end = proxy.requests.at(-1);
      expect([end?.target, end?.method, String(end?.body)]).toEqual(["/link/end", after, keepsBody ? "payload" : ""]);
      const keepsType = keepsBody || method === "HEAD";
      expect(end?.header("content-type")).toEqual(keepsType ? ["text/x"] : []);
    }
  });

  test("a 307 with a streamed body is body_not_replayable", async () => {
    redirectOnce(307, "/link/end");
    const call = open().fetchWithAuth("/start", { method: "POST", body: Readable.from([Buffer.from("x")]) });
    expect(isConduitError(await rejection(call), "body_not_replayable")).toBe(true);
  });

  test("a redirect loop ends after 20", async () => {
    answer = () => ({ status: 302, headers: { location: "/link/start" } });
    const error = await rejection(open().fetchWithAuth("/start"));
    expect(isConduitError(error, "redirect_refused")).toBe(true);
    expect(proxy.requests).toHaveLength(21);
  });

  test("'manual' gets the redirect, 'error' rejects, neither follows", async () => {
    redirectOnce(302, `${stranger.url}/x`);
    const { fetchWithAuth } = open();
    const response = await fetchWithAuth("/start", { redirect: "manual" });
    expect([response.status, response.headers.get("location")]).toEqual([302, `${stranger.url}/x`]);
    expect(await rejection(fetchWithAuth("/start", { redirect: "error" }))).toBeInstanceOf(TypeError);
    expect(stranger.requests).toEqual([]);
  });

  test("a 3xx without Location is an answer like any other", async () => {
    answer = () => ({ status: 302 });
    expect((await open().fetchWithAuth("/start")).status).toBe(302);
  });

  test("in a browser, which hides where a redirect leads, the call rejects with redirect_refused", async () => {
    const seen: (RequestRedirect | undefined)[] = [];
    const opaque = Object.defineProperties(new Response(null), {
      type: { value: "opaqueredirect" },
      status: { value: 0 },
    });
    const fetch = async (_input: unknown, init: RequestInit) => {
      seen.push(init.redirect);
      return opaque;
    };
    const { fetchWithAuth } = open({ platform: { fetch } });
    expect(isConduitError(await rejection(fetchWithAuth("/x")), "redirect_refused")).toBe(true);
    expect(seen).toEqual(["manual"]);
  });
});

describe("401", () => {
  test.each(["token_missing", "token_expired", "token_revoked", "token_signature_invalid"])(
    "the proxy's %s costs one refresh and one more attempt",
    async (code) => {
      refusal = code;
      refused.add("t1");
      const { fetchWithAuth, rounds } = open();
      expect((await fetchWithAuth("/x")).status).toBe(200);
      expect(tokensSeen()).toEqual(["Bearer t1", "Bearer t2"]);
      expect(rounds()).toBe(2);
    },
  );

  test.each([
    "token_malformed",
    "token_audience_mismatch",
    "link_token_invalid",
    "token_claim_missing",
    "x_token_expired",
  ])("the proxy's %s, which no refresh can cure, is returned", async (code) => {
    refusal = code;
    refused.add("t1");
    const { fetchWithAuth, rounds } = open();
    const response = await fetchWithAuth("/x");
    expect([response.status, await response.json(), rounds()]).toEqual([401, { code }, 1]);
  });

  test("an upstream's own 401 and 403 pass untouched and cost no refresh", async () => {
    for (const status of [401, 403]) {
      answer = () => ({ status, headers: { "www-authenticate": 'Bearer error="invalid_token"' }, body: "theirs" });
      const { fetchWithAuth, rounds } = open();
      const response = await fetchWithAuth("/x");
      expect([response.status, await response.text(), rounds()]).toEqual([status, "theirs", 1]);
    }
  });

  test("50 concurrent calls refused together cause one refresh", async () => {
    refused.add("t1");
    const { fetchWithAuth, rounds } = open();
    const responses = await Promise.all(Array.from({ length: 50 }, (_, index) => fetchWithAuth(`/${index}`)));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(rounds()).toBe(2);
  });

  test("a 401 that arrives after the refresh causes no second one", async () => {
    const waiting: (() => void)[] = [];
    const responses = [0, 1].map(() => new Promise<void>((resolve) => waiting.push(resolve)));
    const fetch = async (input: string | Request, init: RequestInit) => {
      const token = new Headers(init.headers).get("Authorization");
      if (token !== "Bearer t1") return new Response("ok");
      await responses[String(input).endsWith("/early") ? 0 : 1];
      return new Response("no", { status: 401, headers: { "X-Conduit-Error": "token_expired" } });
    };
    const { fetchWithAuth, rounds } = open({ platform: { fetch } });
    const early = fetchWithAuth("/early");
    const late = fetchWithAuth("/late");
    await settle();
    waiting[0]?.();
    expect((await early).status).toBe(200);
    waiting[1]?.();
    expect((await late).status).toBe(200);
    expect(rounds()).toBe(2);
  });

  test("when the new token is refused too, its 401 is returned, the session goes on, and nothing loops", async () => {
    refused = new Set(["t1", "t2"]);
    const { fetchWithAuth, rounds, conduit } = open();
    const response = await fetchWithAuth("/x");
    expect([response.status, await response.json()]).toEqual([401, { code: "token_expired" }]);
    expect([rounds(), proxy.requests.length, conduit.state]).toEqual([2, 2, "ready"]);
  });

  test("when no new token is to be had, the first 401 is returned, its body unread", async () => {
    for (const failing of [
      () => null,
      () => {
        throw new Error("offline");
      },
    ]) {
      refused.add("t1");
      let round = 0;
      const { fetchWithAuth } = open({ getToken: () => (++round === 1 ? "t1" : failing()) });
      const response = await fetchWithAuth("/x");
      expect([response.status, await response.json()]).toEqual([401, { code: "token_expired" }]);
    }
  });

  test("the body of a 401 that is followed by a second attempt is cancelled before it", async () => {
    const order: string[] = [];
    const fetch = async () => {
      order.push("sent");
      if (order.length > 1) return new Response("ok");
      const body = new ReadableStream({ cancel: () => void order.push("cancelled") });
      return new Response(body, { status: 401, headers: { "X-Conduit-Error": "token_expired" } });
    };
    await open({ platform: { fetch } }).fetchWithAuth("/x");
    expect(order).toEqual(["sent", "cancelled", "sent"]);
  });

  test("signing out while the answer is on its way: its 401 asks for no new token", async () => {
    refused.add("t1");
    const { fetchWithAuth, conduit, rounds } = open();
    await conduit.tokens.getToken();
    const call = fetchWithAuth("/x");
    await settle();
    await conduit.signOut();
    expect((await call).status).toBe(401);
    expect([rounds(), conduit.state]).toEqual([1, "empty"]);
  });

  test("signed out, nothing is sent and the call rejects with session_lost", async () => {
    const { fetchWithAuth } = open({ getToken: () => null });
    expect(isConduitError(await rejection(fetchWithAuth("/x")), "session_lost")).toBe(true);
    expect(proxy.requests).toEqual([]);
  });
});

describe("bodies", () => {
  const bytes = new TextEncoder().encode("hello");
  const stream = () => new Blob([bytes]).stream();

  test.each<[string, () => BodyInit]>([
    ["string", () => "hello"],
    ["URLSearchParams", () => new URLSearchParams({ hello: "" })],
    ["Blob", () => new Blob([bytes])],
    ["ArrayBuffer", () => bytes.slice().buffer],
    ["typed array", () => bytes],
    ["DataView", () => new DataView(bytes.slice().buffer)],
  ])("a %s is sent again", async (_kind, make) => {
    refused.add("t1");
    const response = await open().fetchWithAuth("/x", { method: "POST", body: make() });
    expect(await response.text()).toMatch(/^hello=?$/);
    expect(new Set(proxy.requests.map(({ body }) => String(body))).size).toBe(1);
    expect(proxy.requests).toHaveLength(2);
  });

  test("FormData is sent again as FormData, with a boundary that fits", async () => {
    refused.add("t1");
    const body = new FormData();
    body.set("file", new Blob(["content"]), "a.txt");
    await open().fetchWithAuth("/x", { method: "POST", body });
    for (const request of proxy.requests) {
      const [type = ""] = request.header("content-type");
      expect(String(request.body)).toContain(/boundary=(.+)/.exec(type)?.[1]);
      expect(String(request.body)).toContain("content");
    }
    expect(proxy.requests).toHaveLength(2);
  });

  test.each<[string, () => BodyInit | Promise<BodyInit> | Readable]>([
    ["string", () => "hello"],
    ["promise of a string", async () => "hello"],
    ["web stream", stream],
    ["Node stream", () => Readable.from([bytes])],
  ])("a function that makes a %s is called for each attempt", async (_kind, make) => {
    refused.add("t1");
    let made = 0;
    const body = () => {
      made++;
      return make();
    };
    const response = await open().fetchWithAuth("/x", { method: "POST", body });
    expect([await response.text(), made]).toEqual(["hello", 2]);
  });

  test.each<[string, () => Request]>([
    ["bytes", () => new Request(`${proxy.url}/link/x`, { method: "POST", body: bytes })],
    [
      "a stream",
      () => new Request(`${proxy.url}/link/x`, { method: "POST", body: stream(), duplex: "half" } as RequestInit),
    ],
  ])("a Request with %s is cloned, and spent afterwards as fetch leaves it", async (_kind, make) => {
    refused.add("t1");
    const request = make();
    const response = await open().fetchWithAuth(request);
    expect(await response.text()).toBe("hello");
    expect(request.bodyUsed).toBe(true);
    expect(await rejection(open().fetchWithAuth(request))).toBeInstanceOf(TypeError);
  });

  test.each<[string, () => ReadableStream | Readable]>([
    ["web stream", stream],
    ["Node stream", () => Readable.from([bytes])],
  ])(
    "a %s is sent once, with a fresh token, and its 401 is returned; the next call has a new token",
    async (_, make) => {
      const { fetchWithAuth, rounds } = open();
      const sent = await fetchWithAuth("/x", { method: "POST", body: make() as ReadableStream });
      expect(await sent.text()).toBe("hello");
      refused.add("t1");
      const response = await fetchWithAuth("/x", { method: "POST", body: make() as ReadableStream });
      expect([response.status, await response.json()]).toEqual([401, { code: "token_expired" }]);
      expect(rounds()).toBe(2);
      await fetchWithAuth("/y");
      expect(tokensSeen()).toEqual(["Bearer t1", "Bearer t1", "Bearer t2"]);
    },
  );

  test("Node 24.14's TypeError for a 401 to a stream is body_not_replayable, its cause kept", async () => {
    const failure = new TypeError("fetch failed", { cause: new Error("expected non-null body source") });
    const { fetchWithAuth } = open({ platform: { fetch: () => Promise.reject(failure) } });
    const error = await rejection(fetchWithAuth("/x", { method: "POST", body: stream() }));
    expect(isConduitError(error, "body_not_replayable") && error.cause).toBe(failure);
  });
});

describe("abort and network errors", () => {
  test("an aborted signal ends the wait for a token and sends nothing", async () => {
    const { fetchWithAuth } = open({ getToken: () => new Promise<never>(() => {}) });
    const controller = new AbortController();
    const call = fetchWithAuth("/x", { signal: controller.signal });
    const reason = new Error("left");
    controller.abort(reason);
    expect(await rejection(call)).toBe(reason);
    expect(proxy.requests).toEqual([]);
  });

  test("a Request's own signal counts too, and init can lift it", async () => {
    const request = () => new Request(`${proxy.url}/link/x`, { signal: AbortSignal.abort(new Error("left")) });
    const { fetchWithAuth } = open();
    expect(await rejection(fetchWithAuth(request()))).toMatchObject({ message: "left" });
    expect(proxy.requests).toEqual([]);
    expect((await fetchWithAuth(request(), { signal: null })).status).toBe(200);
  });

  test("a signal ends a request under way", async () => {
    const controller = new AbortController();
    const hanging = await startHttpServer(() => undefined);
    const { fetchWithAuth } = open({ url: `${hanging.url}/link` });
    const call = rejection(fetchWithAuth("/x", { signal: controller.signal }));
    await once(hanging.server, "request");
    controller.abort();
    expect(await call).toMatchObject({ name: "AbortError" });
    await hanging.close();
  });

  test("a signal that ends the wait for a retry rejects with its reason", async () => {
    refused.add("t1");
    let round = 0;
    const controller = new AbortController();
    const getToken = () => {
      if (++round === 1) return "t1";
      controller.abort(new Error("left"));
      return new Promise<never>(() => {});
    };
    const { fetchWithAuth } = open({ getToken });
    expect(await rejection(fetchWithAuth("/x", { signal: controller.signal }))).toMatchObject({ message: "left" });
  });

  test("the network's errors come as fetch throws them, and end no session", async () => {
    const failure = new TypeError("fetch failed");
    const { fetchWithAuth, conduit } = open({ platform: { fetch: () => Promise.reject(failure) } });
    expect(await rejection(fetchWithAuth("/x"))).toBe(failure);
    expect(conduit.state).toBe("ready");
  });
});

test("fetchWithAuth is bound and fits where fetch is expected", async () => {
  const drop: typeof globalThis.fetch = open().conduit.fetchWithAuth;
  expect((await drop.call(undefined, "/x")).status).toBe(200);
});

test("after dispose nothing is sent", async () => {
  const { fetchWithAuth, conduit } = open();
  conduit.dispose();
  expect(isConduitError(await rejection(fetchWithAuth("/x")), "disposed")).toBe(true);
  expect(proxy.requests).toEqual([]);
});
