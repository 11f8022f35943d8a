// axios over its own fetch adapter, against a link: what response interceptors of others get wrong (research: one of three answered, two
// refreshes for a late 401) must hold here.
import axios, { AxiosError } from "axios";
import { describe, expect, test } from "vitest";
import { axiosOptions } from "../../../sdk/src/adapters/axios.ts";
import { isConduitError } from "../../../sdk/src/index.ts";
import { LINK_TOKEN, rejection, useFakeLink } from "../fake-link.ts";

const link = useFakeLink();

function openApi(options: Parameters<typeof link.open>[0] = {}) {
  const opened = link.open(options);
  return { ...opened, api: axios.create(axiosOptions(opened.conduit)) };
}

describe("one call", () => {
  test("carries both credentials to the path below the link", async () => {
    const { api } = openApi();
    const { status, data } = await api.post("/api/notes?q=1", { text: "ä" });
    const [request] = link.proxy.requests;
    expect([status, typeof data, request?.body.toString()]).toEqual([200, "object", '{"text":"ä"}']);
    expect([request?.method, request?.target]).toEqual(["POST", "/link/api/notes?q=1"]);
    expect(request?.header("x-access-token")).toEqual([LINK_TOKEN]);
    expect(request?.header("authorization")).toEqual(["Bearer t1"]);
    expect(request?.header("content-type")).toEqual(["application/json"]);
  });

  test("another origin gets nothing, and the caller the SDK's own error", async () => {
    const { api } = openApi();
    const error = await rejection(api.get(`${link.stranger.url}/x`));
    expect(error).toBeInstanceOf(AxiosError);
    expect(isConduitError((error as AxiosError).cause, "origin_not_allowed")).toBe(true);
    expect([(error as AxiosError).code, link.stranger.requests.length]).toEqual(["origin_not_allowed", 0]);
  });

  test("signed out: the error says so, and interceptors of the app see it", async () => {
    const { api } = openApi({ getToken: () => null });
    const seen: unknown[] = [];
    api.interceptors.response.use(undefined, (error: AxiosError) => {
      seen.push(error.code);
      throw error;
    });
    const error = await rejection(api.get("/x"));
    expect(isConduitError((error as AxiosError).cause, "session_lost")).toBe(true);
    expect([seen, link.proxy.requests.length]).toEqual([["session_lost"], 0]);
  });

  test("a 401 of the upstream stays axios' own error, and costs no refresh", async () => {
    link.answer = () => ({ status: 401, body: { why: "upstream" } });
    const { api, rounds } = openApi();
    const error = (await rejection(api.get("/x"))) as AxiosError;
    expect([error.response?.status, error.response?.data, rounds()]).toEqual([401, { why: "upstream" }, 1]);
  });
});

describe("refused tokens", () => {
  test("three calls that fail together share one refresh, and all three are answered", async () => {
    const { api, rounds } = openApi();
    await api.get("/warm-up");
    link.refused.add("t1");
    const answers = await Promise.all([1, 2, 3].map((id) => api.put(`/items/${id}`, { id })));
    expect(answers.map(({ status, data }) => [status, data])).toEqual([1, 2, 3].map((id) => [200, { id }]));
    expect(rounds()).toBe(2);
  });

  test("a 401 that comes late, after the others' refresh, causes no second one", async () => {
    const { api, rounds } = openApi();
    await api.get("/warm-up");
    link.refused.add("t1");
    const late = Promise.withResolvers<void>();
    link.late = { path: "/link/late", until: late.promise };
    const slow = api.get("/late");
    await Promise.all([api.get("/a"), api.get("/b")]);
    late.resolve();
    expect([(await slow).status, rounds()]).toEqual([200, 2]);
  });

  test("a token refused again is axios' 401, after one retry", async () => {
    const { api, rounds } = openApi();
    link.refused = { has: () => true } as unknown as Set<string>;
    const error = (await rejection(api.get("/x"))) as AxiosError;
    expect([error.response?.status, rounds(), link.proxy.requests.length]).toEqual([401, 2, 2]);
  });

  test("FormData goes out whole in both attempts", async () => {
    const { api } = openApi();
    link.refused.add("t1");
    const form = new FormData();
    form.set("file", new Blob(["contents"]), "a.txt");
    await api.post("/upload", form);
    expect(link.proxy.requests.map(({ body }) => body.toString().includes("contents"))).toEqual([true, true]);
    expect(link.tokensSeen()).toEqual(["Bearer t1", "Bearer t2"]);
  });
});

test("an aborted call rejects as axios' own, and the token stays", async () => {
  const { api, conduit } = openApi();
  await api.get("/warm-up");
  const controller = new AbortController();
  controller.abort();
  const error = await rejection(api.get("/x", { signal: controller.signal }));
  expect([axios.isCancel(error), conduit.state, link.proxy.requests.length]).toEqual([true, "ready", 1]);
});
