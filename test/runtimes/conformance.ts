// What must hold in every runtime, against real sockets: bundled with the SDK as it is published, and run by Node, Deno, Bun, workerd and Chromium.
import { isTokenExpired, TokenManager } from "@conduit-link/sdk";
import { streamEvents } from "@conduit-link/sdk/events";
import { createControlClient, signUserToken, verifyUserToken } from "@conduit-link/sdk/server";
import { createSession, fromControlPlane, memoryStore } from "@conduit-link/sdk/session";
import { type Case, equal, LINK_TOKEN, LOGIN, openRoom, type Room, type Runtime, rejectionCode } from "./room.ts";

const SECRET = "a secret of more than thirty-two bytes";
const bytes = new TextEncoder().encode("hello");
const bodies: Readonly<Record<string, () => BodyInit>> = {
  string: () => "hello",
  bytes: () => bytes,
  buffer: () => bytes.slice().buffer,
  blob: () => new Blob([bytes]),
  parameters: () => new URLSearchParams("hello"),
};

const NO_STREAMS = "requests cannot have streams as bodies here";
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A room whose first token the proxy no longer takes. */
async function expiredRoom(runtime: Runtime): Promise<Room> {
  const room = openRoom(runtime);
  await room.set({ expire: true });
  return room;
}

/** Refreshes and repeated uses of a refresh token, which would end the session. */
async function costs(room: Room): Promise<readonly number[]> {
  const { refreshes, reuses } = await room.log();
  return [refreshes, reuses];
}

const textOf = async (call: Promise<Response>) => {
  const response = await call;
  return `${response.status} ${await response.text()}`;
};

/** Clients of one session, whose tokens come from the control plane by OAuth. */
function openSession(room: Room, store = memoryStore()) {
  const session = createSession({ store, refresh: fromControlPlane({ issuer: room.url, clientId: "link" }) });
  const conduit = room.open({ getToken: session });
  return { session, conduit, ...conduit, signIn: () => session.signIn(LOGIN) };
}

export const CONFORMANCE: Readonly<Record<string, Case<Runtime>>> = {
  async "50 concurrent 401s cause one refresh, and all are answered"(runtime) {
    const room = await expiredRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    const texts = await Promise.all(Array.from({ length: 50 }, () => textOf(fetchWithAuth("/x"))));
    equal([...new Set(texts)], ["200 GET /x "], "answers");
    equal(await costs(room), [1, 0], "refreshes and reuses");
    equal([...new Set((await room.log()).requests.map(({ linkToken }) => linkToken))], [LINK_TOKEN], "link tokens");
    dispose();
  },
  async "a 401 that comes late, after the refresh, costs no second one"(runtime) {
    const room = await expiredRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    const calls = ["/x", "/y", "/late-200"].map((path) => textOf(fetchWithAuth(path)));
    equal(await Promise.all(calls), ["200 GET /x ", "200 GET /y ", "200 GET /late-200 "], "answers");
    equal(await costs(room), [1, 0], "refreshes and reuses");
    dispose();
  },
  async "bodies of every kind are sent again"(runtime) {
    for (const [kind, make] of Object.entries(bodies)) {
      const room = await expiredRoom(runtime);
      const { fetchWithAuth, dispose } = room.open();
      const answer = await textOf(fetchWithAuth("/x", { method: "POST", body: make() }));
      equal(answer.replace("=", ""), "200 POST /x hello", kind);
      equal((await room.log()).requests.length, 2, `${kind}: attempts`);
      dispose();
    }
  },
  async "FormData is sent again with a boundary that fits"(runtime) {
    const room = await expiredRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    const body = new FormData();
    body.set("field", "value");
    await textOf(fetchWithAuth("/x", { method: "POST", body }));
    const { requests } = await room.log();
    equal(requests.length, 2, "attempts");
    for (const { contentType, body: sent } of requests) {
      const boundary = /boundary="?([^";]+)/.exec(contentType)?.[1] ?? "no boundary";
      equal(sent.includes(boundary) && sent.includes("value"), true, "body");
    }
    dispose();
  },
  async "a Request with a body is cloned"(runtime) {
    const room = await expiredRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    const request = new Request(`${room.link}/x`, { method: "POST", body: "hello" });
    equal(await textOf(fetchWithAuth(request)), "200 POST /x hello", "answer");
    equal((await room.log()).requests.length, 2, "attempts");
    dispose();
  },
  async "a function that makes a stream is called for each attempt"(runtime) {
    if (runtime.hasRequestStreams === false) return NO_STREAMS;
    const room = await expiredRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    const call = fetchWithAuth("/x", { method: "POST", body: () => new Blob([bytes]).stream() });
    // Node 24.14 hides the 401 of a streamed body behind an error, so nobody can tell that a refresh would help.
    const outcome = await textOf(call).catch((error: { code?: string }) => error.code);
    equal(outcome === "body_not_replayable" || outcome === "200 POST /x hello", true, String(outcome));
    dispose();
  },
  async "a stream is sent once; its 401 is returned, or said to be one by Node 24.14"(runtime) {
    if (runtime.hasRequestStreams === false) return NO_STREAMS;
    const room = await expiredRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    const call = fetchWithAuth("/x", { method: "POST", body: new Blob([bytes]).stream() });
    const outcome = await textOf(call).catch((error: { code?: string }) => error.code);
    equal(outcome === "401 refused" || outcome === "body_not_replayable", true, String(outcome));
    equal((await room.log()).requests.length, 1, "attempts");
    equal(await textOf(fetchWithAuth("/y")), "200 GET /y ", "the next call");
    dispose();
  },
  async "a redirect to another origin is not followed, and no credential gets there"(runtime) {
    if (runtime.isXhr) return "XMLHttpRequest follows redirects unseen";
    const room = openRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    const code = runtime.isDocument ? "redirect_refused" : "origin_not_allowed";
    equal(await rejectionCode(fetchWithAuth("/leak")), code, "code");
    equal((await room.log()).leaks, [], "what arrived elsewhere");
    dispose();
  },
  async "a redirect within the link is followed with its body"(runtime) {
    if (runtime.isDocument) return "pages are not told where a redirect leads";
    const room = openRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    for (const input of ["/inside", new Request(`${room.link}/inside`, { method: "POST", body: "hello" })]) {
      const init = typeof input === "string" ? { method: "POST", body: "hello" } : {};
      equal(await textOf(fetchWithAuth(input, init)), "200 POST /landed hello", "answer");
    }
    dispose();
  },
  async "an upstream's own 401 is returned without a refresh"(runtime) {
    const room = openRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    equal(await textOf(fetchWithAuth("/upstream-401")), "401 theirs", "answer");
    equal(await costs(room), [0, 0], "refreshes and reuses");
    dispose();
  },
  async "a 429 is returned at once, or waited for as long as was allowed"(runtime) {
    const room = openRoom(runtime);
    const [first, patient] = [room.open(), room.open({ retryAfterMaxMs: 2_000 })];
    equal((await textOf(first.fetchWithAuth("/limited"))).slice(0, 3), "429", "without patience");
    const other = openRoom(runtime);
    patient.dispose();
    const { fetchWithAuth, dispose } = other.open({ retryAfterMaxMs: 2_000 });
    equal(await textOf(fetchWithAuth("/limited")), "200 GET /limited ", "with patience");
    first.dispose();
    dispose();
  },
  async "paths that leave the link are not sent"(runtime) {
    const room = openRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    for (const path of ["/../other", "/%2e%2e/other", "/\\..\\..\\other", "https://stranger.example/link/x"]) {
      equal(await rejectionCode(fetchWithAuth(path)), "origin_not_allowed", path);
    }
    equal((await room.log()).requests, [], "what arrived");
    dispose();
  },
  async "an aborted call sends nothing"(runtime) {
    const room = openRoom(runtime);
    const { fetchWithAuth, dispose } = room.open({ getToken: () => new Promise<never>(() => {}) });
    const controller = new AbortController();
    const call = fetchWithAuth("/x", { signal: controller.signal });
    controller.abort(new Error("left"));
    equal(await rejectionCode(call), "Error: left", "reason");
    equal((await room.log()).requests, [], "what arrived");
    dispose();
  },
  async "a source that hangs ends in refresh_timeout, even with nothing else to keep the process alive"() {
    const manager = new TokenManager({ refresh: () => new Promise<never>(() => {}), refreshTimeoutMs: 20 });
    equal(await rejectionCode(manager.getToken()), "refresh_timeout", "code");
  },
  async "a refresh refused with 429 keeps the session and the wait that was asked for"(runtime) {
    const room = await expiredRoom(runtime);
    await room.set({ refuse: { times: 1, status: 429, headers: { "Retry-After": "300" } } });
    const { fetchWithAuth, conduit, signIn } = openSession(room);
    await signIn();
    equal(await textOf(fetchWithAuth("/x")), "401 refused", "answer");
    equal(await textOf(fetchWithAuth("/x")), "401 refused", "the next answer");
    equal([await costs(room), conduit.state], [[1, 0], "ready"], "refreshes and state");
    await conduit.tokens.refresh();
    equal(await textOf(fetchWithAuth("/x")), "200 GET /x ", "once asked by hand");
    conduit.dispose();
  },
  async "an answer lost after the rotation is asked for again, as the same attempt"(runtime) {
    const room = await expiredRoom(runtime);
    await room.set({ lose: 1 });
    const { fetchWithAuth, dispose, signIn } = openSession(room);
    await signIn();
    equal(await textOf(fetchWithAuth("/x")), "401 refused", "while it is lost");
    equal(await textOf(fetchWithAuth("/x")), "200 GET /x ", "answer");
    const { rotations, replays, reuses } = await room.log();
    equal([rotations, replays, reuses], [1, 1, 0], "rotations, replays and reuses");
    dispose();
  },
  async "a server clock that is an hour off changes nothing"(runtime) {
    for (const dateSkewMs of [-3_600_000, 3_600_000]) {
      const room = openRoom(runtime);
      await room.set({ dateSkewMs });
      const { fetchWithAuth, dispose } = room.open();
      for (const path of ["/x", "/y"]) equal(await textOf(fetchWithAuth(path)), `200 GET ${path} `, "answer");
      equal(await costs(room), [0, 0], "refreshes and reuses");
      dispose();
    }
  },
  async "a token of 30 days causes no refresh"(runtime) {
    const room = openRoom(runtime);
    const { fetchWithAuth, dispose } = room.open({ getToken: () => ({ ...LOGIN, expiresIn: 30 * 86_400 }) });
    await textOf(fetchWithAuth("/x"));
    await pause(100);
    await textOf(fetchWithAuth("/x"));
    equal(await costs(room), [0, 0], "refreshes and reuses");
    dispose();
  },
  async "two clients of one store use each refresh token once, and a sign-out ends both"(runtime) {
    const room = await expiredRoom(runtime);
    const store = memoryStore();
    const clients = [openSession(room, store), openSession(room, store)];
    await clients[0]?.signIn();
    const calls = [...clients, ...clients].map(({ fetchWithAuth }) => textOf(fetchWithAuth("/x")));
    equal([...new Set(await Promise.all(calls))], ["200 GET /x "], "answers");
    const { rotations, reuses } = await room.log();
    equal([rotations, reuses], [1, 0], "rotations and reuses");
    await clients[0]?.conduit.signOut();
    equal(await rejectionCode(clients[1]?.conduit.tokens.refresh() ?? pause(0)), "session_lost", "the other");
    equal((await room.log()).revocations, 1, "revocations");
    for (const { dispose } of clients) dispose();
  },
  async "an event stream that ends with its token goes on with the next, from its last event on"(runtime) {
    const room = openRoom(runtime);
    const { fetchWithAuth, dispose } = room.open();
    if (runtime.isXhr) {
      // Said as what it is, not waited for.
      const code = await rejectionCode(streamEvents({ fetchWithAuth }, "/events", { onEvent() {} }));
      equal(code, "events_refused", "code");
      return void dispose();
    }
    const data: string[] = [];
    await streamEvents({ fetchWithAuth }, "/events", { retryMs: 5, onEvent: (event) => void data.push(event.data) });
    equal(data, ["\u{1f98a}", "\u{1f98a}"], "events");
    const { requests, refreshes } = await room.log();
    equal([...new Set(requests.map(({ lastEventId }) => lastEventId))], ["", "1", "2"], "ids");
    equal(refreshes, 1, "refreshes");
    dispose();
  },
  async "user tokens are signed and verified with WebCrypto"() {
    const token = await signUserToken({ sub: "user-1", secret: SECRET, claims: { email: "a@b.example" } });
    equal(isTokenExpired(token), false, "expired");
    equal((await verifyUserToken(token, { secret: SECRET })).email, "a@b.example", "claim");
    const foreign = await verifyUserToken(token, { secret: SECRET.repeat(2) }).catch((error: Error) => error.message);
    equal(foreign, "Invalid signature", "other secret");
  },
  async "the control client does a unary call"(runtime) {
    const { link } = openRoom(runtime);
    // The room's proxy refuses what is no token of it, which the client must say in its own words.
    const client = createControlClient({ url: link, apiKey: "cl_key_x" });
    const call = client.call("conduit.v1.LinkService", "ListLinks", { parent: "projects/demo" });
    equal(await call.catch((error: { code?: string }) => error.code), "unauthenticated", "code");
  },
};

/** A client whose timer waits for the refresh of a 30-day token, and that nobody disposes of: the process must end all the same. */
export function leaveBehind(): void {
  new TokenManager({ refresh: () => null }).setToken("left-over", 30 * 86_400);
}
