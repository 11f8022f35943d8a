// promises.md S14 through the proxy, scored on what the upstream received.
import { expect, test } from "vitest";
import type { Rule } from "../../server/src/model/link.ts";
import { startHttpServer } from "../support/http-server.ts";
import { startProxy, userToken } from "./harness.ts";

const rule = (effect: Rule["effect"], path: string, changes: Partial<Rule> = {}): Rule => ({
  effect,
  methods: [],
  path,
  query: {},
  claims: [],
  message: "",
  ...changes,
});
const allow = (path: string, changes?: Partial<Rule>) => rule("ALLOW", path, changes);
const deny = (path: string, changes?: Partial<Rule>) => rule("DENY", path, changes);

interface Call {
  readonly method?: string;
  readonly path: string;
  readonly claims?: Record<string, unknown>;
}

/** Makes the calls in order; returns which of them arrived. */
async function arrivedOf(rules: readonly Rule[], calls: readonly Call[]): Promise<boolean[]> {
  await using upstream = await startHttpServer();
  const proxy = await startProxy({ baseUrl: upstream.url, link: { rules } });
  const arrived: boolean[] = [];
  for (const { method = "GET", path, claims = {} } of calls) {
    const before = upstream.requests.length;
    const answer = await proxy.call(path, { method, headers: { authorization: `Bearer ${userToken(claims)}` } });
    arrived.push(upstream.requests.length > before);
    if (!arrived.at(-1)) expect([401, 403]).toContain(answer.status);
  }
  return arrived;
}

test("S14: an empty list denies everything", async () => {
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
  const calls = methods.flatMap((method) => ["/", "/x", "/a/b"].map((path) => ({ method, path })));
  expect(await arrivedOf([], calls)).toEqual(calls.map(() => false));
});

test("S14: what no rule matches is denied: another method, path, spelling of a method, a longer or shorter path", async () => {
  const rules = [allow("/a", { methods: ["GET"] }), allow("/b/*", { methods: ["POST"] })];
  const calls: readonly (readonly [Call, boolean])[] = [
    [{ path: "/a" }, true],
    [{ method: "HEAD", path: "/a" }, true],
    [{ method: "POST", path: "/a" }, false],
    [{ method: "OPTIONS", path: "/a" }, false],
    [{ path: "/a/" }, false],
    [{ path: "/a/b" }, false],
    [{ path: "/A" }, false],
    [{ path: "/" }, false],
    [{ method: "POST", path: "/b/c/d" }, true],
    [{ method: "POST", path: "/b" }, false],
    [{ method: "POST", path: "/b/" }, false],
    [{ path: "/b/c" }, false],
  ];
  expect(
    await arrivedOf(
      rules,
      calls.map(([call]) => call),
    ),
  ).toEqual(calls.map(([, expected]) => expected));
});

test("S14: deny beats allow wherever it stands, in every spelling of the path", async () => {
  for (const rules of [
    [allow("/**"), deny("/admin/**")],
    [deny("/admin/**"), allow("/**")],
  ]) {
    const calls = ["/admin", "/admin/x", "/%61dmin/x", "/adm%69n/x/y", "/public"].map((path) => ({ path }));
    expect(await arrivedOf(rules, calls)).toEqual([false, false, false, false, true]);
  }
});

test("S14: a deny rule whose claim is missing counts, an allow rule whose claim is missing does not", async () => {
  const isGuest = [{ path: "role", test: "equals" as const, value: "guest" }];
  const denied = [allow("/**"), deny("/**", { claims: isGuest })];
  const allowed = [allow("/**", { claims: isGuest })];
  const calls = [{ claims: {} }, { claims: { role: "guest" } }, { claims: { role: "admin" } }].map((it) => ({
    path: "/x",
    ...it,
  }));
  expect(await arrivedOf(denied, calls)).toEqual([false, false, true]);
  expect(await arrivedOf(allowed, calls)).toEqual([false, true, false]);
});
