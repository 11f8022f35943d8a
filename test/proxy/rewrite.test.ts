// promises.md S13: judged bytes = forwarded bytes, also where a rule rewrites the path. What the upstream received counts.
import { expect, test } from "vitest";
import type { Rule } from "../../server/src/model/link.ts";
import { startHttpServer } from "../support/http-server.ts";
import { LINK_ID, startProxy, userToken } from "./harness.ts";

const rule = (change: Partial<Rule>): Rule => ({
  ...{ effect: "ALLOW", methods: [], path: "/**", query: {}, claims: [], message: "" },
  ...change,
});
const me = rule({ path: "/me/**", rewrite: { prefix: "/me", replacement: "/users/{jwt.sub}" } });

test("S13: the upstream gets the rewritten path below the base URL's, and the query as it was", async () => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: `${upstream.url}/v1/`, link: { rules: [me] } });
  const authorization = `Bearer ${userToken({ sub: "auth0|42" })}`;
  for (const path of ["/me/a%20b?x=%2e&y", "/me", "/me/", "/%6de/x"])
    await proxy.call(path, { headers: { authorization } });
  expect(upstream.requests.map(({ target }) => target)).toEqual([
    "/v1/users/auth0%7C42/a%20b?x=%2e&y",
    "/v1/users/auth0%7C42",
    "/v1/users/auth0%7C42/",
    "/v1/users/auth0%7C42/x",
  ]);
});

test("S13: no claim and no path leads out of the base URL; nothing arrives", async () => {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({
    baseUrl: `${upstream.url}/v1`,
    link: { rules: [me, rule({ effect: "DENY", path: "/users/7/secret/**" })] },
  });
  const codeOf = async (path: string, sub?: string) => {
    const headers = sub === undefined ? {} : { authorization: `Bearer ${userToken({ sub })}` };
    return (await proxy.call(path, { headers })).headers.get("x-conduit-error");
  };
  for (const sub of ["..", "../admin", ".", "a/b", "a%2Fb", "a\\b"]) {
    expect([sub, await codeOf("/me/x", sub)]).toEqual([sub, "rule_denied"]);
  }
  expect(await codeOf("/me/..%2fx")).toBe("path_ambiguous");
  expect(await codeOf("/me/secret/x", "7")).toBe("rule_denied");
  expect(await codeOf("/users/user-1/x")).toBe("rule_denied");
  expect(upstream.requests).toEqual([]);
});

test("a redirect inside what was rewritten leads back to where the client came from", async () => {
  const locations: readonly (readonly [string, string])[] = [
    ["next", `/${LINK_ID}/me/next`],
    ["/v1/users/user-1/other?a=b", `/${LINK_ID}/me/other?a=b`],
    ["/v1/users/user-1", `/${LINK_ID}/me`],
    ["/v1/users/user-10", `/${LINK_ID}/users/user-10`],
    ["/v1/elsewhere", `/${LINK_ID}/elsewhere`],
  ];
  for (const [location, expected] of locations) {
    await using upstream = await startHttpServer(() => ({ status: 302, headers: { Location: location } }));
    const proxy = await startProxy({ baseUrl: `${upstream.url}/v1`, link: { rules: [me] } });
    expect((await proxy.call("/me/page")).headers.get("location")).toBe(expected);
  }
});
