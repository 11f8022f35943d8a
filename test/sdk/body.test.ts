import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { isConduitError } from "../../sdk/src/index.ts";
import { rejection, useFakeLink } from "./fake-link.ts";

const link = useFakeLink();

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
  link.refused.add("t1");
  const response = await link.open().fetchWithAuth("/x", { method: "POST", body: make() });
  expect(await response.text()).toMatch(/^hello=?$/);
  expect(new Set(link.proxy.requests.map(({ body }) => String(body))).size).toBe(1);
  expect(link.proxy.requests).toHaveLength(2);
});

test("FormData is sent again as FormData, with a boundary that fits", async () => {
  link.refused.add("t1");
  const body = new FormData();
  body.set("file", new Blob(["content"]), "a.txt");
  await link.open().fetchWithAuth("/x", { method: "POST", body });
  for (const request of link.proxy.requests) {
    const [type = ""] = request.header("content-type");
    expect(String(request.body)).toContain(/boundary=(.+)/.exec(type)?.[1]);
    expect(String(request.body)).toContain("content");
  }
  expect(link.proxy.requests).toHaveLength(2);
});

test.each<[string, () => BodyInit | Promise<BodyInit> | Readable]>([
  ["string", () => "hello"],
  ["promise of a string", async () => "hello"],
  ["web stream", stream],
  ["Node stream", () => Readable.from([bytes])],
])("a function that makes a %s is called for each attempt", async (_kind, make) => {
  link.refused.add("t1");
  let made = 0;
  const body = () => {
    made++;
    return make();
  };
  const response = await link.open().fetchWithAuth("/x", { method: "POST", body });
  expect([await response.text(), made]).toEqual(["hello", 2]);
});

test.each<[string, () => Request]>([
  ["bytes", () => new Request(`${link.proxy.url}/link/x`, { method: "POST", body: bytes })],
  [
    "a stream",
    () => new Request(`${link.proxy.url}/link/x`, { method: "POST", body: stream(), duplex: "half" } as RequestInit),
  ],
])("a Request with %s is cloned, and spent afterwards as fetch leaves it", async (_kind, make) => {
  link.refused.add("t1");
  const request = make();
  const response = await link.open().fetchWithAuth(request);
  expect(await response.text()).toBe("hello");
  expect(request.bodyUsed).toBe(true);
  expect(await rejection(link.open().fetchWithAuth(request))).toBeInstanceOf(TypeError);
});

test.each<[string, () => ReadableStream | Readable]>([
  ["web stream", stream],
  ["Node stream", () => Readable.from([bytes])],
])("a %s is sent once, with a fresh token, and its 401 is returned; the next call has a new token", async (_, make) => {
  const { fetchWithAuth, rounds } = link.open();
  const sent = await fetchWithAuth("/x", { method: "POST", body: make() as ReadableStream });
  expect(await sent.text()).toBe("hello");
  link.refused.add("t1");
  const response = await fetchWithAuth("/x", { method: "POST", body: make() as ReadableStream });
  expect([response.status, await response.json()]).toEqual([401, { code: "token_expired" }]);
  expect(rounds()).toBe(2);
  await fetchWithAuth("/y");
  expect(link.tokensSeen()).toEqual(["Bearer t1", "Bearer t1", "Bearer t2"]);
});

test("Node 24.14's TypeError for a 401 to a stream is body_not_replayable, its cause kept", async () => {
  const failure = new TypeError("fetch failed", { cause: new Error("expected non-null body source") });
  const { fetchWithAuth } = link.open({ platform: { fetch: () => Promise.reject(failure) } });
  const error = await rejection(fetchWithAuth("/x", { method: "POST", body: stream() }));
  expect(isConduitError(error, "body_not_replayable") && error.cause).toBe(failure);
});

test("the clone of a Request that was kept for a retry is let go when none comes: nothing piles up in it", async () => {
  const cancelled = Promise.withResolvers<void>();
  const body = new ReadableStream({ cancel: () => cancelled.resolve() });
  const fetch = async (input: string | Request) => {
    // Cancelling one branch of a tee reaches the source only when the other is cancelled too.
    void (input as Request).body?.cancel();
    return new Response("ok");
  };
  const { fetchWithAuth } = link.open({ platform: { fetch } });
  const init = { method: "POST", body, duplex: "half" } as RequestInit;
  await fetchWithAuth(new Request(`${link.proxy.url}/link/x`, init));
  await cancelled.promise;
});
