import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isConduitError } from "../../../sdk/src/index.ts";
import { ControlError, createControlClient, isControlError } from "../../../sdk/src/server/index.ts";
import { type Answer, type HttpServer, startHttpServer } from "../../support/http-server.ts";

const API_KEY = "cl_key_canary0123456789";

let control: HttpServer;
let answer: Answer | undefined;

beforeEach(async () => {
  answer = { body: {} };
  control = await startHttpServer(() => answer);
});
afterEach(() => control.close());

const open = (options = {}) => createControlClient({ url: control.url, apiKey: API_KEY, ...options });
const rejection = async (promise: Promise<unknown>) => {
  const error = await promise.then(() => undefined).catch((cause: unknown) => cause);
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(API_KEY);
  return error;
};
const sent = () => JSON.parse(String(control.requests.at(-1)?.body)) as unknown;

describe("call", () => {
  test("is one POST of Connect's JSON form with the key", async () => {
    answer = { body: { links: [{ name: "projects/demo/links/a" }] } };
    const links = await open().call("conduit.v1.LinkService", "ListLinks", { parent: "projects/demo" });
    expect(links).toEqual({ links: [{ name: "projects/demo/links/a" }] });
    const [request] = control.requests;
    expect([request?.method, request?.target]).toEqual(["POST", "/conduit.v1.LinkService/ListLinks"]);
    expect(request?.header("authorization")).toEqual([`Bearer ${API_KEY}`]);
    expect(request?.header("content-type")).toEqual(["application/json"]);
    expect(request?.header("connect-protocol-version")).toEqual(["1"]);
    expect(request?.header("connect-timeout-ms")).toEqual(["60000"]);
    expect(sent()).toEqual({ parent: "projects/demo" });
  });

  test("a refusal becomes a ControlError with code, message, reason and metadata", async () => {
    answer = {
      status: 404,
      body: {
        code: "not_found",
        message: "No such link",
        details: [
          {
            type: "google.rpc.ErrorInfo",
            value: "CgxMSU5LX1VOS05PV04",
            debug: { reason: "LINK_UNKNOWN", domain: "conduit.link", metadata: { link: "x" } },
          },
        ],
      },
    };
    const error = await rejection(open().call("conduit.v1.LinkService", "GetLink", { name: "x" }));
    expect(isControlError(error, "not_found")).toBe(true);
    expect(isControlError(error, "internal")).toBe(false);
    expect(error).toMatchObject({
      message: "No such link",
      status: 404,
      reason: "LINK_UNKNOWN",
      metadata: { link: "x" },
    });
  });

  test.each<[number, Answer["body"] & string, string]>([
    [401, "", "unauthenticated"],
    [404, "<html>", "unimplemented"],
    [503, "[]", "unavailable"],
    [418, '{"code":"teapot"}', "unknown"],
    [500, '{"code":"internal"}', "internal"],
    [400, '{"code":"invalid_argument","details":"none"}', "invalid_argument"],
    [200, "<html>", "internal"],
  ])("an answer %i %j is the code %s", async (status, body, code) => {
    answer = { status, body };
    const error = await rejection(open().call("a.B", "C", {}));
    expect(error).toBeInstanceOf(ControlError);
    expect(error).toMatchObject({ code, status });
  });

  test("an unreachable server is `unavailable` without status, its cause kept", async () => {
    const client = open();
    await control.close();
    const error = await rejection(client.call("a.B", "C", {}));
    expect(error).toMatchObject({ code: "unavailable", status: undefined });
    expect((error as Error).cause).toBeInstanceOf(TypeError);
  });

  test("a server that does not answer in time is `deadline_exceeded`", async () => {
    answer = undefined;
    const error = await rejection(open({ timeoutMs: 1 }).call("a.B", "C", {}));
    expect(error).toMatchObject({ code: "deadline_exceeded", status: undefined });
  });

  test("the caller's signal cancels with its own reason", async () => {
    answer = undefined;
    const controller = new AbortController();
    const call = rejection(open().call("a.B", "C", {}, { signal: controller.signal }));
    const reason = new Error("stopped");
    controller.abort(reason);
    expect(await call).toBe(reason);
    expect(await rejection(open().call("a.B", "C", {}, { signal: controller.signal }))).toBe(reason);
  });

  test("a redirect is not followed: the key goes to nobody else", async () => {
    const stranger = await startHttpServer();
    answer = { status: 307, headers: { location: `${stranger.url}/x` } };
    expect(await rejection(open().call("a.B", "C", {}))).toMatchObject({ code: "unavailable" });
    expect(stranger.requests).toEqual([]);
    await stranger.close();
  });

  test("names that are no protobuf names are a TypeError, and nothing is sent", async () => {
    for (const [service, method] of [
      ["../x", "C"],
      ["a.B", "C/D"],
      ["a.B", ""],
    ] as const) {
      expect(await rejection(open().call(service, method, {}))).toBeInstanceOf(TypeError);
    }
    expect(control.requests).toEqual([]);
  });

  test("plain http off loopback is refused when the client is made", () => {
    let error: unknown;
    try {
      createControlClient({ url: "http://control.example", apiKey: API_KEY });
    } catch (cause) {
      error = cause;
    }
    expect(isConduitError(error, "origin_not_allowed")).toBe(true);
  });

  test("a key may be read at each call, and one no header may carry is refused", async () => {
    let round = 0;
    const client = open({ apiKey: async () => `cl_key_${++round}` });
    await client.call("a.B", "C", {});
    await client.call("a.B", "C", {});
    expect(control.requests.map((request) => request.header("authorization")[0])).toEqual([
      "Bearer cl_key_1",
      "Bearer cl_key_2",
    ]);
    expect(() => open({ apiKey: `${API_KEY}\n` })).toThrow(TypeError);
  });
});

describe("mintToken", () => {
  test("sends the request in proto JSON and completes the answer", async () => {
    answer = {
      body: {
        accessToken: "jwt",
        expiresIn: 900,
        expireTime: "2026-11-25T12:15:00Z",
        tokenId: "id",
        configSequence: "7",
      },
    };
    const minted = await open().mintToken({
      parent: "projects/demo",
      subject: "user-1",
      links: ["projects/demo/links/a"],
      lifetimeSeconds: 900,
      claims: { email: "a@b.example" },
      roles: ["admin"],
      scope: "read write",
    });
    expect(control.requests[0]?.target).toBe("/conduit.v1.TokenService/MintToken");
    expect(sent()).toEqual({
      parent: "projects/demo",
      subject: "user-1",
      links: ["projects/demo/links/a"],
      lifetime: "900s",
      claims: { email: "a@b.example" },
      roles: ["admin"],
      scope: "read write",
    });
    expect(minted).toEqual({
      accessToken: "jwt",
      tokenType: "Bearer",
      expiresIn: 900,
      expireTime: "2026-11-25T12:15:00Z",
      tokenId: "id",
    });
  });

  test("lifetimes may be written like 15m; 64-bit numbers may come as text; a refresh token is passed on", async () => {
    answer = { body: { accessToken: "jwt", tokenType: "Bearer", expiresIn: "600", refreshToken: "cl_rt_x" } };
    const request = { parent: "projects/demo", subject: "1", links: [], session: {} };
    expect(await open().mintToken({ ...request, lifetime: "10m" })).toMatchObject({
      expiresIn: 600,
      refreshToken: "cl_rt_x",
    });
    expect(sent()).toMatchObject({ lifetime: "600s", session: {} });
    expect(await rejection(open().mintToken({ ...request, lifetime: "10m", lifetimeSeconds: 600 }))).toBeInstanceOf(
      TypeError,
    );
  });

  test("an answer without a token is an error, not an empty token", async () => {
    expect(await rejection(open().mintToken({ parent: "p", subject: "1", links: [] }))).toMatchObject({
      code: "internal",
    });
  });
});

describe("refreshToken and revokeToken", () => {
  test("a session's next tokens come in the shape of minted ones", async () => {
    answer = {
      body: { accessToken: "next", tokenType: "Bearer", expiresIn: "900", refreshToken: "cl_rt_next", session: "s" },
    };
    const next = await open().refreshToken({ refreshToken: "cl_rt_now", attemptId: "a1" });
    expect(next).toMatchObject({ accessToken: "next", expiresIn: 900, refreshToken: "cl_rt_next" });
    expect(control.requests.at(-1)?.target).toBe("/conduit.v1.TokenService/RefreshToken");
    expect(sent()).toEqual({ refreshToken: "cl_rt_now", attemptId: "a1" });
  });

  test("a withdrawal sends what it was given and answers nothing", async () => {
    answer = { body: { configSequence: "7" } };
    expect(await open().revokeToken({ parent: "projects/demo", tokenId: "jti", reason: "stolen" })).toBeUndefined();
    expect(control.requests.at(-1)?.target).toBe("/conduit.v1.TokenService/RevokeToken");
    expect(sent()).toEqual({ parent: "projects/demo", tokenId: "jti", reason: "stolen" });
  });
});

describe("exchangeToken, introspectToken and verifyToken", () => {
  test("an exchanged token comes in the shape of a minted one", async () => {
    answer = { body: { accessToken: "ours", expiresIn: "300", tokenId: "id", scope: "read" } };
    const request = {
      parent: "projects/demo",
      subjectToken: "theirs",
      links: ["projects/demo/links/a"],
      scope: "read",
    };
    const exchanged = await open().exchangeToken({ ...request, lifetime: "5m" });
    expect(exchanged).toMatchObject({ accessToken: "ours", tokenType: "Bearer", expiresIn: 300, scope: "read" });
    expect(control.requests.at(-1)?.target).toBe("/conduit.v1.TokenService/ExchangeToken");
    expect(sent()).toEqual({ ...request, lifetime: "300s" });
  });

  test("an unknown token is not active, and that is no error", async () => {
    answer = { body: {} };
    const request = { parent: "projects/demo", token: "x" };
    expect(await open().introspectToken(request)).toEqual({ active: false, links: [], roles: [] });
    expect(control.requests.at(-1)?.target).toBe("/conduit.v1.TokenService/IntrospectToken");
    expect(sent()).toEqual(request);
  });

  test("a verdict is completed: what proto JSON leaves out is false or empty", async () => {
    answer = { body: { judgedStages: ["link-token"], stage: "link-token", status: 401, code: "link_token_invalid" } };
    const request = { link: "projects/demo/links/a", token: "x", method: "GET", path: "/y", linkToken: "cl_pub_z" };
    expect(await open().verifyToken(request)).toEqual({
      accepted: false,
      judgedStages: ["link-token"],
      stage: "link-token",
      status: 401,
      code: "link_token_invalid",
    });
    expect(control.requests.at(-1)?.target).toBe("/conduit.v1.TokenService/VerifyToken");
    expect(sent()).toEqual(request);
  });
});
