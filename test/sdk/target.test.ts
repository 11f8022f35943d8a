import { expect, test } from "vitest";
import { createConduit, isConduitError } from "../../sdk/src/index.ts";
import { isNotAllowed, LINK_TOKEN, rejection, useFakeLink } from "./fake-link.ts";

const link = useFakeLink();

const url = () => `${link.proxy.url}/link`;

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
  expect(await isNotAllowed(link.open().fetchWithAuth(path))).toBe(true);
  expect(link.proxy.requests).toEqual([]);
});

test("an absolute URL, URL object or Request outside the link is not sent, and no token is asked for", async () => {
  const { fetchWithAuth, rounds } = link.open();
  const { port } = link.proxy;
  for (const target of [
    `${link.stranger.url}/link/x`,
    `${url()}-other/x`,
    `${link.proxy.url}/LINK/x`,
    `${link.proxy.url}/other/x`,
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
  expect(await isNotAllowed(fetchWithAuth(new URL(`${link.stranger.url}/link/x`)))).toBe(true);
  expect(await isNotAllowed(fetchWithAuth(new Request(`${link.stranger.url}/link/x`)))).toBe(true);
  expect([link.proxy.requests.length, link.stranger.requests.length, rounds()]).toEqual([0, 0, 0]);
});

test("what lies below the link is sent, however it is written", async () => {
  const { fetchWithAuth } = link.open();
  const base = url();
  await fetchWithAuth("/");
  await fetchWithAuth("//double");
  await fetchWithAuth(`${base}/b#fragment`);
  await fetchWithAuth(new URL(`${base}/c`));
  await fetchWithAuth(`HTTP://127.0.0.1:${link.proxy.port}/link/d`);
  await fetchWithAuth(`${base}/x/../e`);
  expect(link.proxy.requests.map(({ target }) => target)).toEqual([
    "/link/",
    "/link//double",
    "/link/b",
    "/link/c",
    "/link/d",
    "/link/e",
  ]);
});

test.each([["api/users"], [""], ["?q"], ["#x"], [" /x"], ["1http://x"]])("%j is a TypeError", async (input) => {
  const error = await rejection(link.open().fetchWithAuth(input));
  expect(error).toBeInstanceOf(TypeError);
  expect(String(error)).toBe("TypeError: input must be an http(s) URL");
  expect(error).not.toHaveProperty("input");
  expect(link.proxy.requests).toEqual([]);
});

test("an allowed origin gets the credentials, whole path segments of it only", async () => {
  const { fetchWithAuth } = link.open({ allowedOrigins: [`${link.stranger.url}/second`] });
  await fetchWithAuth(`${link.stranger.url}/second/x`);
  expect(await isNotAllowed(fetchWithAuth(`${link.stranger.url}/second-not/x`))).toBe(true);
  expect(link.stranger.requests.map((request) => request.header("x-access-token"))).toEqual([[LINK_TOKEN]]);
});

test.each([
  "http://proxy.example/link",
  "http://127.0.0.1.evil.example/link",
  "http://localhost.evil.example/link",
  "http://0.0.0.0/link",
  "http://[::2]/link",
])("plain http off the own machine is refused: %s", (insecure) => {
  const code = (make: () => unknown) => {
    try {
      return make();
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

test.each([
  "",
  "proxy.example/link",
  "ftp://proxy.example/link",
  "https://proxy.example/link?key=hidden",
  "https://me:hidden@proxy.example/",
])("what is no URL of a link is refused by the parameter's name, without its value: %j", (wrong) => {
  const open = (options: { url: string; allowedOrigins?: readonly string[] }) => () =>
    createConduit({ ...options, getToken: () => "t" });
  expect(open({ url: wrong })).toThrow(/^url must be an http\(s\) URL(, no user, query or fragment)?$/);
  const good = "https://proxy.example/link";
  expect(open({ url: good, allowedOrigins: [wrong] })).toThrow(/^allowedOrigins must be an http\(s\) URL/);
});
