// Process: what routing and the revocation look-up cost in a large installation, and rules at their worst (P4, S14).
import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { systemClock as clock } from "../../server/src/clock.ts";
import { isRevoked } from "../../server/src/judge/revocation.ts";
import { revocationKeysOf } from "../../server/src/judge/revocation-keys.ts";
import type { User } from "../../server/src/judge/user.ts";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import type { Link, Rule } from "../../server/src/model/link.ts";
import { revocationEntryOf } from "../../server/src/model/revocation.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { RevocationIndex } from "../../server/src/policy/revocation.ts";
import { compileRules, matchRules, type RuleRequest } from "../../server/src/policy/rule.ts";
import { CompiledLinks } from "../../server/src/proxy/config/compiled-links.ts";
import { readHead } from "../../server/src/proxy/request-head.ts";
import { route } from "../../server/src/proxy/route.ts";
import type { Accepted } from "../../server/src/proxy/stage-values.ts";
import { benchIssuer, benchLink, SECRET_NAME } from "./bench-link.ts";
import { type LookupAnswer, type LookupOrder, serveParent } from "./messages.ts";

const LINKS = 100_000;
const REVOCATIONS = 1_000_000;
/** People at work at a time, each on a link of their own, spread over the tables; and rounds of their requests. */
const ACTIVE_USERS = 2_000;
const PASSES = 25;
const RULES = 1_000;
const MATCHES = 200;
const RULE_PATH = "/api/items/*";

const idOf = (at: number): string => `bench-link-${at}`;

function bigConfig(): CompiledLinks {
  const revocations = new RevocationIndex(randomBytes(16));
  for (let at = 0; at < REVOCATIONS; at += 1) {
    const target = { kind: "token", project: "bench", id: `jti-${at}` } as const;
    const entry = revocationEntryOf({ target, expireTimeMs: clock.now() + 3_600_000 });
    revocations.set({ name: at.toString(16).padStart(32, "0"), version: 1n, entry });
  }
  const fetchJson = () => Promise.reject(new Error("nothing is fetched here"));
  const config = new CompiledLinks(new JwksSources({ fetchJson, clock, log: pino({ level: "silent" }) }), revocations);
  const issuer = benchIssuer("https://issuer.bench.example/jwks.json");
  const secret = { current: new SecretText("sk_bench_0123456789abcdef0123456789abcdef") };
  const template = benchLink("https://api.bench.example");
  const links = Array.from(
    { length: LINKS },
    (_, at): Link => ({ ...template, name: `projects/bench/links/${idOf(at)}` }),
  );
  config.apply(
    [
      { kind: "secret" as const, name: SECRET_NAME, secret },
      { kind: "issuer" as const, name: issuer.name, issuer },
      ...links.map((link) => ({ kind: "link" as const, name: link.name, link })),
    ].map((resource) => ({ kind: resource.kind, name: resource.name, version: 1n, resource })),
  );
  if (config.size !== LINKS) throw new Error(JSON.stringify(config.rejected().slice(0, 3)));
  config.becomeReady("00000000-0000-4000-8000-000000000000");
  return config;
}

interface Lookup {
  readonly accepted: Accepted;
  readonly user: User;
}

/** Requests of users whose tokens were verified before and not withdrawn, all over the links. */
function makeLookups(config: CompiledLinks): readonly Lookup[] {
  const head = readHead([], 0);
  return Array.from({ length: ACTIVE_USERS }, (_, at) => {
    const id = idOf((at * 7919) % LINKS);
    const path = `/${id}/api/users/42/orders`;
    const accepted = {
      ...{ incoming: { method: "GET" }, requestId: "", head, target: { host: "", path, query: "" } },
      ...{ clientAddress: "192.0.2.1", bodyLength: 0, handshake: undefined },
    } as unknown as Accepted;
    const served = config.link(id);
    if (served === undefined) throw new Error("a link is not there");
    const claims = { sub: `user-${at}`, jti: `other-${at}`, sid: `session-${at}`, iat: Math.floor(clock.now() / 1000) };
    const issuer = benchIssuer("");
    const keys = revocationKeysOf(served.judged, issuer.name, "key", claims);
    keys();
    return { accepted, user: { claims, issuer, kid: "key", token: "", validUntilMs: 0, revocationKeys: keys } };
  });
}

const config = bigConfig();
const lookups = makeLookups(config);

/** CPU nanoseconds of both look-ups together. */
function routeNs(): number {
  const nowMs = clock.now();
  const before = process.cpuUsage();
  let found = 0;
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (const { accepted, user } of lookups) {
      if ("link" in route(accepted, config) && !isRevoked(user, config.revocations, nowMs)) found += 1;
    }
  }
  const { user, system } = process.cpuUsage(before);
  if (found !== PASSES * ACTIVE_USERS) throw new Error("a look-up went wrong");
  return ((user + system) * 1000) / found;
}

const rule = (change: Partial<Rule>): Rule => ({
  ...{ effect: "ALLOW", methods: ["GET"], path: RULE_PATH, query: {}, claims: [], message: "" },
  ...change,
});

/** A thousand rules on one path; the request meets none, so that all would have to be looked at. */
const WORST: Readonly<Record<string, (at: number) => Partial<Rule>>> = {
  claim: (at) => ({ claims: [{ path: "tier", test: "equals", value: `tier-${at}` }] }),
  one_of: (at) => ({ claims: [{ path: "tier", test: "one_of", values: [`a-${at}`, `b-${at}`] }] }),
  contains: (at) => ({ claims: [{ path: "roles", test: "contains", value: `role-${at}` }] }),
  missing: (at) => ({ claims: [{ path: "absent", test: "equals", value: `${at}` }] }),
  query: (at) => ({ query: { kind: `kind-${at}` } }),
  deny: (at) => ({ effect: "DENY", query: { kind: `kind-${at}` } }),
  messages: (at) => ({ claims: [{ path: "tier", test: "equals", value: `tier-${at}` }], message: `tier ${at} only` }),
  templates: (at) => ({ path: `/api/{jwt.c${at % 32}}/x${at}` }),
};

const REQUEST: RuleRequest = {
  method: "GET",
  path: "/api/items/5",
  query: "kind=none&page=2",
  claims: {
    sub: "42",
    tier: "none",
    roles: ["a", "b"],
    ...Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`c${at}`, "x"])),
  },
};

/** Of the kind of rules that costs most: CPU milliseconds to compile, first match included, and microseconds to match. */
function rulesCost(): Pick<LookupAnswer, "compileMs" | "matchMicros"> {
  const costs = Object.values(WORST).map((change) => {
    const rules = Array.from({ length: RULES }, (_, at) => rule(change(at)));
    const start = process.cpuUsage();
    const compiled = compileRules(rules);
    matchRules(compiled, REQUEST);
    const compiling = process.cpuUsage(start);
    const before = process.cpuUsage();
    for (let count = 0; count < MATCHES; count += 1) matchRules(compiled, REQUEST);
    const matching = process.cpuUsage(before);
    return {
      compileMs: (compiling.user + compiling.system) / 1000,
      matchMicros: (matching.user + matching.system) / MATCHES,
    };
  });
  return {
    compileMs: Math.max(...costs.map(({ compileMs }) => compileMs)),
    matchMicros: Math.max(...costs.map(({ matchMicros }) => matchMicros)),
  };
}

process.on("message", (message: LookupOrder | "cpu") => {
  if (message === "cpu") return;
  process.send?.({ routeNs: routeNs(), ...rulesCost() } satisfies LookupAnswer);
});
serveParent(0);
