// What must hold in every runtime, as plain asserts: bundled with the SDK and run by Node, Deno and Bun (runtimes.test.ts).
// Prints one line per case, `ok <name>` or `not ok <name>: <why>`, then `done <count>`.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { streamEvents } from "../../sdk/src/events/index.ts";
import {
  type ConduitOptions,
  createConduit,
  isConduitError,
  isTokenExpired,
  TokenManager,
} from "../../sdk/src/index.ts";
import { createControlClient, signUserToken, verifyUserToken } from "../../sdk/src/server/index.ts";
import { createSession, memoryStore } from "../../sdk/src/session/index.ts";

const SECRET = "a secret of more than thirty-two bytes";
const LINK_TOKEN = "cl_pub_testtoken";

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly authorization: string;
  readonly linkToken: string;
  readonly contentType: string;
  readonly body: string;
}

function equal(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a} instead of ${b}`);
}

async function rejectionCode(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return isConduitError(error) ? error.code : String(error);
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString("latin1");
}

async function listen(handle: (request: IncomingMessage, response: ServerResponse, body: string) => void) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const header = (name: string) => String(request.headers[name] ?? "");
      seen.push({
        method: request.method ?? "",
        target: request.url ?? "",
        authorization: header("authorization"),
        linkToken: header("x-access-token"),
        contentType: header("content-type"),
        body,
      });
      handle(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { seen, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** The last origin a credential may reach. */
const stranger = await listen((_request, response) => response.end("stolen"));

/** A fake proxy: `t1` is always refused as expired; paths say what else happens. */
const proxy = await listen((request, response, body) => {
  const path = request.url ?? "";
  if (path.endsWith("/leak")) return void response.writeHead(307, { location: `${stranger.url}/x` }).end();
  if (path.endsWith("/inside")) return void response.writeHead(307, { location: "/link/landed" }).end();
  if (path.endsWith("/upstream-401")) return void response.writeHead(401).end("theirs");
  if (request.headers.authorization === "Bearer t1") {
    return void response.writeHead(401, { "X-Conduit-Error": "token_expired" }).end("refused");
  }
  response.end(`${request.method} ${path} ${body}`);
});

function open(options: Partial<ConduitOptions> = {}) {
  let rounds = 0;
  proxy.seen.length = 0;
  stranger.seen.length = 0;
  const getToken = () => ({ token: `t${++rounds}`, expiresIn: 900 });
  const conduit = createConduit({ url: `${proxy.url}/link`, linkToken: LINK_TOKEN, getToken, ...options });
  return { ...conduit, rounds: () => rounds };
}

const bytes = new TextEncoder().encode("hello");
const bodies: Readonly<Record<string, () => BodyInit>> = {
  string: () => "hello",
  bytes: () => bytes,
  buffer: () => bytes.slice().buffer,
  blob: () => new Blob([bytes]),
  parameters: () => new URLSearchParams("hello"),
};

const cases: Readonly<Record<string, () => Promise<void>>> = {
  async "50 concurrent calls cause one refresh"() {
    const { fetchWithAuth, rounds, dispose } = open();
    const responses = await Promise.all(Array.from({ length: 50 }, (_, index) => fetchWithAuth(`/${index}`)));
    await Promise.all(responses.map((response) => response.text()));
    equal(new Set(responses.map(({ status }) => status)).size, 1, "statuses");
    equal([responses[0]?.status, rounds()], [200, 2], "status and rounds");
    equal(new Set(proxy.seen.map(({ linkToken }) => linkToken)).size, 1, "link tokens");
    dispose();
  },
  async "bodies of every kind are sent again"() {
    for (const [kind, make] of Object.entries(bodies)) {
      const { fetchWithAuth, dispose } = open();
      const response = await fetchWithAuth("/x", { method: "POST", body: make() });
      equal((await response.text()).replace("=", ""), "POST /link/x hello", kind);
      equal(proxy.seen.length, 2, `${kind}: attempts`);
      dispose();
    }
  },
  async "FormData is sent again with a boundary that fits"() {
    const { fetchWithAuth, dispose } = open();
    const body = new FormData();
    body.set("field", "value");
    await (await fetchWithAuth("/x", { method: "POST", body })).text();
    equal(proxy.seen.length, 2, "attempts");
    for (const { contentType, body: sent } of proxy.seen) {
      const boundary = /boundary="?([^";]+)/.exec(contentType)?.[1] ?? "no boundary";
      equal(sent.includes(boundary) && sent.includes("value"), true, "body");
    }
    dispose();
  },
  async "a Request with a body is cloned"() {
    const { fetchWithAuth, dispose } = open();
    const response = await fetchWithAuth(new Request(`${proxy.url}/link/x`, { method: "POST", body: "hello" }));
    equal([await response.text(), proxy.seen.length], ["POST /link/x hello", 2], "answer and attempts");
    dispose();
  },
  async "a function that makes a stream is called for each attempt"() {
    const { fetchWithAuth, dispose } = open();
    const response = await fetchWithAuth("/x", { method: "POST", body: () => new Blob([bytes]).stream() });
    equal([await response.text(), proxy.seen.length], ["POST /link/x hello", 2], "answer and attempts");
    dispose();
  },
  async "a stream is sent once and its 401 returned"() {
    const { fetchWithAuth, dispose } = open();
    const response = await fetchWithAuth("/x", { method: "POST", body: new Blob([bytes]).stream() });
    equal([response.status, await response.text(), proxy.seen.length], [401, "refused", 1], "answer and attempts");
    dispose();
  },
  async "a redirect to another origin is not followed"() {
    const { fetchWithAuth, dispose } = open();
    equal(await rejectionCode(fetchWithAuth("/leak")), "origin_not_allowed", "code");
    equal(stranger.seen, [], "what arrived elsewhere");
    dispose();
  },
  async "a redirect within the link is followed with its body"() {
    const { fetchWithAuth, dispose } = open({ getToken: () => "t2" });
    for (const input of ["/inside", new Request(`${proxy.url}/link/inside`, { method: "POST", body: "hello" })]) {
      const init = typeof input === "string" ? { method: "POST", body: "hello" } : {};
      equal(await (await fetchWithAuth(input, init)).text(), "POST /link/landed hello", "answer");
    }
    dispose();
  },
  async "an upstream's own 401 is returned without a refresh"() {
    const { fetchWithAuth, rounds, dispose } = open();
    const response = await fetchWithAuth("/upstream-401");
    equal([response.status, await response.text(), rounds()], [401, "theirs", 1], "answer and rounds");
    dispose();
  },
  async "paths that leave the link are not sent"() {
    const { fetchWithAuth, dispose } = open();
    for (const path of ["/../other", "/%2e%2e/other", "/\\..\\..\\other", `${stranger.url}/link/x`]) {
      equal(await rejectionCode(fetchWithAuth(path)), "origin_not_allowed", path);
    }
    equal([proxy.seen, stranger.seen], [[], []], "what arrived");
    dispose();
  },
  async "an aborted call sends nothing"() {
    const { fetchWithAuth, dispose } = open({ getToken: () => new Promise<never>(() => {}) });
    const controller = new AbortController();
    const call = fetchWithAuth("/x", { signal: controller.signal });
    controller.abort(new Error("left"));
    equal(await rejectionCode(call), "Error: left", "reason");
    equal(proxy.seen, [], "what arrived");
    dispose();
  },
  async "a source that hangs ends in refresh_timeout, even with nothing else to keep the process alive"() {
    const manager = new TokenManager({ refresh: () => new Promise<never>(() => {}), refreshTimeoutMs: 20 });
    equal(await rejectionCode(manager.getToken()), "refresh_timeout", "code");
  },
  async "clients of one session rotate once, and a sign-out ends it for all"() {
    let requests = 0;
    const attempts = new Set<string>();
    const refresh = async ({ attemptId }: { readonly attemptId: string }) => {
      requests++;
      attempts.add(attemptId);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return { token: `t${requests + 1}`, refreshToken: "r2", expiresIn: 900 };
    };
    const store = memoryStore();
    const clients = Array.from({ length: 5 }, () => open({ getToken: createSession({ store, refresh }) }));
    const tokens = await Promise.all(clients.map((client) => client.tokens.getToken()));
    equal([new Set(tokens).size, attempts.size], [1, 1], "tokens and attempts");
    await clients[0]?.signOut();
    equal(await rejectionCode(clients[1]?.tokens.refresh() ?? Promise.resolve()), "session_lost", "the others");
    for (const client of clients) client.dispose();
  },
  async "an event stream is read, and made again from its last event on"() {
    const ids: (string | undefined)[] = [];
    const source = await listen((request, response) => {
      ids.push(request.headers["last-event-id"] as string | undefined);
      if (ids.length > 2) return void response.writeHead(204).end();
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(`id: ${ids.length}\r\ndata: \u{1f98a}\r\n\r\n`);
    });
    const { fetchWithAuth, dispose } = open({ url: `${source.url}/link`, getToken: () => "t2" });
    const data: string[] = [];
    await streamEvents({ fetchWithAuth }, "/events", { retryMs: 5, onEvent: (event) => void data.push(event.data) });
    equal(
      [data, ids],
      [
        ["\u{1f98a}", "\u{1f98a}"],
        [undefined, "1", "2"],
      ],
      "events and ids",
    );
    dispose();
    source.server.close();
  },
  async "user tokens are signed and verified with WebCrypto"() {
    const token = await signUserToken({ sub: "user-1", secret: SECRET, claims: { email: "a@b.example" } });
    equal(isTokenExpired(token), false, "expired");
    equal((await verifyUserToken(token, { secret: SECRET })).email, "a@b.example", "claim");
    const foreign = await verifyUserToken(token, { secret: SECRET.repeat(2) }).catch((error: Error) => error.message);
    equal(foreign, "Invalid signature", "other secret");
  },
  async "the control client does a unary call"() {
    const answers = await listen((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end('{"links":[]}');
    });
    const client = createControlClient({ url: answers.url, apiKey: "cl_key_x" });
    equal(
      await client.call("conduit.v1.LinkService", "ListLinks", { parent: "projects/demo" }),
      { links: [] },
      "answer",
    );
    equal(answers.seen[0]?.authorization, "Bearer cl_key_x", "key");
    answers.server.close();
  },
};

for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
// A client whose timer waits for the refresh of a 30-day token, and that nobody disposes of: the process must end all the same.
new TokenManager({ refresh: () => null }).setToken("left-over", 30 * 86_400);
for (const { server } of [proxy, stranger]) {
  server.close();
  server.closeAllConnections();
}
console.log(`done ${Object.keys(cases).length}`);
