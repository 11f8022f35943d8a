// ky, and openapi-fetch which takes a `fetch` as well, against a link.
import ky, { isHTTPError } from "ky";
import createClient from "openapi-fetch";
import { expect, test } from "vitest";
import { kyOptions } from "../../../sdk/src/adapters/ky.ts";
import { isConduitError } from "../../../sdk/src/index.ts";
import { isNotAllowed, LINK_TOKEN, rejection, useFakeLink } from "../fake-link.ts";

const link = useFakeLink();

function openApi(options: Parameters<typeof link.open>[0] = {}) {
  const opened = link.open(options);
  return { ...opened, api: ky.create(kyOptions(opened.conduit)) };
}

test.each(["api/notes", "/api/notes"])("%s lies below the link and carries both credentials", async (path) => {
  const { api } = openApi();
  expect(await api.post(path, { json: { a: 1 } }).json()).toEqual({ a: 1 });
  const [request] = link.proxy.requests;
  expect([request?.target, request?.header("x-access-token")]).toEqual(["/link/api/notes", [LINK_TOKEN]]);
});

test("POST calls refused together are all sent again, with one refresh", async () => {
  const { api, rounds } = openApi();
  await api.get("warm-up");
  link.refused.add("t1");
  const answers = await Promise.all([1, 2, 3].map((id) => api.post("items", { json: { id } }).json()));
  expect([answers, rounds()]).toEqual([[1, 2, 3].map((id) => ({ id })), 2]);
});

test("signed out rejects at once with the SDK's error: ky does not try again", async () => {
  let asked = 0;
  const { api } = openApi({
    getToken() {
      asked += 1;
      return null;
    },
  });
  const error = await rejection(api.get("x"));
  expect([isConduitError(error, "session_lost"), asked, link.proxy.requests.length]).toEqual([true, 1, 0]);
});

test("another origin gets nothing", async () => {
  const { api } = openApi();
  expect(await isNotAllowed(api.extend({ prefix: link.stranger.url }).get("x"))).toBe(true);
  expect(link.stranger.requests).toEqual([]);
});

test("ky's own retries stay: a 503 with Retry-After is asked again", async () => {
  let asked = 0;
  link.answer = () => (++asked === 1 ? { status: 503, headers: { "Retry-After": "0" } } : { body: { asked } });
  const { api } = openApi();
  expect(await api.get("x").json()).toEqual({ asked: 2 });
});

test("a 401 of the upstream is ky's HTTPError and costs no refresh", async () => {
  link.answer = () => ({ status: 401, body: {} });
  const { api, rounds } = openApi();
  const error = await rejection(api.get("x"));
  expect([isHTTPError(error) && error.response.status, rounds()]).toEqual([401, 1]);
});

test("openapi-fetch takes fetchWithAuth as its fetch", async () => {
  interface Paths {
    "/items/{id}": {
      put: {
        parameters: { path: { id: string } };
        requestBody: { content: { "application/json": { n: number } } };
        responses: { 200: { content: { "application/json": { n: number } } } };
      };
    };
  }
  const { conduit, rounds } = link.open();
  link.refused.add("t1");
  const api = createClient<Paths>({ baseUrl: conduit.url, fetch: conduit.fetchWithAuth });
  const { data } = await api.PUT("/items/{id}", { params: { path: { id: "7" } }, body: { n: 1 } });
  expect([data, rounds()]).toEqual([{ n: 1 }, 2]);
  expect(link.proxy.requests.map(({ target }) => target)).toEqual(["/link/items/7", "/link/items/7"]);
});
