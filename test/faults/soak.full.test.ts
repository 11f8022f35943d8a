// R6 in short: a server and a proxy under mixed traffic while the configuration changes. Same processes at the end, nothing
// unhandled, memory and descriptors flat, no status that the request did not ask for.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import jwt from "jsonwebtoken";
import { beforeAll, expect, test } from "vitest";
import type { ConduitProcess } from "../support/conduit-process.ts";
import { type HttpServer, startHttpServer } from "../support/http-server.ts";
import { type ApartStack, startApart } from "../support/stack.ts";
import { until } from "../support/until.ts";

const SOAK_MS = 75_000;
const WARM_UP_MS = 15_000;
const CLIENTS = 8;
const SAMPLE_MS = 1_000;
const CHANGE_MS = 400;
/** Between two requests of one client: load, not a flood. */
const PAUSE_MS = 4;

const HMAC = randomBytes(32).toString("base64");
const PROJECT = "projects/soak";
const LINK_ID = "soak-api";

let stack: ApartStack;
let upstream: HttpServer;
let linkToken: string;

const call = <T = Record<string, unknown>>(service: string, method: string, message: Record<string, unknown>) =>
  stack.control.call<T>(`conduit.v1.${service}`, method, message);

beforeAll(async () => {
  [stack, upstream] = await Promise.all([
    startApart(),
    startHttpServer(({ body }) => ({ body: `got ${body.length}` })),
  ]);
  await call("ProjectService", "CreateProject", { projectId: "soak" });
  for (const [secretId, value] of Object.entries({ "api-key": "sk-upstream-key", hmac: HMAC }))
    await call("SecretService", "CreateSecret", { parent: PROJECT, secretId, secret: { value } });
  const hs256 = { secret: `${PROJECT}/secrets/hmac` };
  await call("IssuerService", "CreateIssuer", { parent: PROJECT, issuerId: "own", issuer: { iss: "soak", hs256 } });
  await call("LinkService", "CreateLink", {
    parent: PROJECT,
    linkId: LINK_ID,
    link: {
      upstream: { baseUrl: upstream.url, allowPrivate: true },
      injections: [{ bearer: {}, secret: `${PROJECT}/secrets/api-key` }],
      issuers: [`${PROJECT}/issuers/own`],
      rules: [{ path: "/users/{jwt.sub}/**" }],
      limits: [{ name: "per-user", requests: 1_000_000, burst: 1_000_000 }],
    },
  });
  const created = await call<{ linkToken: { token: string } }>("LinkTokenService", "CreateLinkToken", {
    parent: `${PROJECT}/links/${LINK_ID}`,
    linkToken: {},
  });
  linkToken = created.linkToken.token;
  await until("the link is served", async () => ((await ask(KINDS[0])) === 200 ? true : undefined));
}, 180_000);

const tokenOf = (sub: string, expiresIn = 300) => jwt.sign({ sub, iss: "soak" }, HMAC, { expiresIn });

interface Kind {
  readonly path: (user: string) => string;
  readonly status: number;
  readonly token?: (user: string) => string;
  readonly body?: () => Buffer;
}

/** Each asks for one status. */
const KINDS: readonly [Kind, ...Kind[]] = [
  { path: (user) => `/users/${user}/orders`, status: 200 },
  { path: (user) => `/users/${user}/orders?page=2`, status: 200 },
  { path: (user) => `/users/${user}/upload`, status: 200, body: () => Buffer.alloc(40_000, 1) },
  { path: () => "/users/someone-else/orders", status: 403 },
  { path: (user) => `/users/${user}/a%2fb`, status: 400 },
  { path: (user) => `/users/${user}/x`, status: 401, token: (user) => tokenOf(user, -60) },
  { path: (user) => `/users/${user}/x`, status: 401, token: (user) => `${tokenOf(user)}x` },
  { path: (user) => `/users/${user}/x`, status: 401, token: () => "nonsense" },
];

let turn = 0;
async function ask({ path, token = tokenOf, body }: Kind): Promise<number> {
  // Subjects come again, so that both kept and new tokens are verified.
  turn += 1;
  const user = `user-${turn % 500}`;
  const answer = await fetch(`http://127.0.0.1:${stack.proxy.ports.proxy}/${LINK_ID}${path(user)}`, {
    headers: { "x-access-token": linkToken, authorization: `Bearer ${token(user)}` },
    ...(body !== undefined && { method: "POST", body: new Uint8Array(body()) }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** Bytes that are no request, and requests whose client goes away. */
async function misbehave(): Promise<void> {
  for (const bytes of ["\0\x01\r\n\r\n", "GET / HTTP/9\r\n\r\n", `GET /${LINK_ID}/x HTTP/1.1\r\nHost: a\r\nX: `]) {
    const socket = connect(stack.proxy.ports.proxy, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(bytes, () => setTimeout(() => socket.destroy(), 20));
    await once(socket, "close");
  }
}

/** Resident memory in MiB and open descriptors of a process. */
function sizeOf({ pid }: ConduitProcess): { rssMiB: number; descriptors: number } {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return { rssMiB: Number(kib) / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test(
  "a minute of everything leaves both processes as they were",
  async () => {
    const startedAt = performance.now();
    const isOver = () => performance.now() - startedAt > SOAK_MS;
    const unexpected: string[] = [];
    let requests = 0;
    const client = async (number: number) => {
      for (let at = number; !isOver(); at += 1) {
        const kind = KINDS[at % KINDS.length] ?? KINDS[0];
        const status = await ask(kind).catch((cause: Error) => `${cause.message} ${String(cause.cause)}`);
        requests += 1;
        if (status !== kind.status) unexpected.push(`${kind.path("…")}: ${status} for ${kind.status}`);
        await pause(PAUSE_MS);
      }
    };
    let changes = 0;
    const change = async () => {
      const name = `${PROJECT}/links/${LINK_ID}`;
      for (; !isOver(); changes += 1) {
        const link = { name, displayName: `change ${changes}` };
        await call("LinkService", "UpdateLink", { link, updateMask: "displayName" });
        await pause(CHANGE_MS);
      }
    };
    const samples: { server: ReturnType<typeof sizeOf>; proxy: ReturnType<typeof sizeOf> }[] = [];
    const sample = async () => {
      await pause(WARM_UP_MS);
      for (; !isOver(); await pause(SAMPLE_MS)) {
        samples.push({ server: sizeOf(stack.server), proxy: sizeOf(stack.proxy) });
        await misbehave();
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
    await Promise.all([...clients, change(), sample()]);

    expect(unexpected).toEqual([]);
    expect(requests).toBeGreaterThan(5_000);
    expect(changes).toBeGreaterThan(50);
    for (const name of ["server", "proxy"] as const) {
      const third = Math.floor(samples.length / 3);
      const [first, last] = [samples.slice(0, third), samples.slice(-third)].map((part) => part.map((it) => it[name]));
      const rss = [first, last].map((part) => median((part ?? []).map(({ rssMiB }) => rssMiB)));
      const open = [first, last].map((part) => median((part ?? []).map(({ descriptors }) => descriptors)));
      console.log(
        `soak: ${name}: ${requests} requests, RSS ${rss.map(Math.round).join(" → ")} MiB, descriptors ${open.join(" → ")}`,
      );
      expect(rss[1]).toBeLessThan((rss[0] ?? 0) * 1.25 + 10);
      expect(open[1]).toBeLessThanOrEqual((open[0] ?? 0) + 10);
    }
    for (const { stdout, stderr, pid } of [stack.server, stack.proxy]) {
      expect(`${stdout}${stderr}`).not.toMatch(/unhandled|uncaught|fault of the proxy|"level":(?:"error"|50)/i);
      expect(() => process.kill(pid, 0)).not.toThrow();
    }
    expect(await Promise.all([stack.proxy.stop(), stack.server.stop()])).toEqual([0, 0]);
  },
  SOAK_MS + 120_000,
);
