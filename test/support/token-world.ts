// A control plane and a proxy small enough to know all about: refresh tokens with strict reuse detection, and every way to fail that a client
// must survive. One world holds any number of rooms, so that cases do not meet; each is told what to do, and asked what it saw, over HTTP, since
// its clients run in other processes, pages and workers.
import type { ServerResponse } from "node:http";
import { type HttpServer, type RecordedRequest, startHttpServer } from "./http-server.ts";

/** What a room is told; each part replaces what was said of it before. */
export interface RoomSettings {
  /** Access tokens handed out until now are refused from now on. */
  readonly expire?: true;
  /** The next refreshes are answered with this, and rotate nothing. */
  readonly refuse?: {
    readonly times: number;
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
  };
  /** So many next refreshes rotate, and their answer is lost on the way. */
  readonly lose?: number;
  /** So many next refreshes are answered only after `delayMs`. */
  readonly slow?: { readonly times: number; readonly delayMs: number };
  /** Lifetime of the next tokens, in seconds. Default 900. */
  readonly expiresIn?: number;
  /** By how much the `Date` of every answer is wrong. Default 0. */
  readonly dateSkewMs?: number;
}

/** One request as the proxy saw it. */
export interface ProxyRequest {
  readonly method: string;
  /** Below the link. */
  readonly path: string;
  /** The access token; empty without one. */
  readonly token: string;
  readonly linkToken: string;
  readonly contentType: string;
  readonly lastEventId: string;
  /** As Latin-1. */
  readonly body: string;
}

/** What a room saw. */
export interface RoomLog {
  readonly requests: ProxyRequest[];
  /** Calls of the token endpoint, whatever came of them. */
  refreshes: number;
  /** Refresh tokens that were replaced by another. */
  rotations: number;
  /** Answers given once more, for the same attempt. */
  replays: number;
  /** Refresh tokens used a second time: the session ends. */
  reuses: number;
  revocations: number;
  /** Header lines that reached another origin with a credential in them. */
  readonly leaks: string[];
}

interface Room extends RoomLog {
  generation: number;
  /** Access tokens of earlier generations are refused. */
  validFrom: number;
  attemptId: string;
  isDead: boolean;
  expiresIn: number;
  dateSkewMs: number;
  refuse: NonNullable<RoomSettings["refuse"]>;
  lose: number;
  slow: NonNullable<RoomSettings["slow"]>;
  limited: number;
}

/** The running world. */
export interface TokenWorld extends AsyncDisposable {
  /** `<url>/<room>/link` is a link, `<url>/<room>` an issuer, `<url>/<room>/token` a back end's own endpoint. */
  readonly url: string;
  /** Told from outside: everything of a room. */
  readonly log: (room: string) => RoomLog;
  readonly set: (room: string, settings: RoomSettings) => void;
}

type Exchange = { readonly request: RecordedRequest; readonly response: ServerResponse; readonly room: Room };

/** @param files what else is served, by path: a page and its script. */
export async function startTokenWorld(
  files: Readonly<Record<string, { readonly type: string; readonly text: string }>> = {},
): Promise<TokenWorld> {
  const rooms = new Map<string, Room>();
  const roomOf = (name: string) => {
    const room = rooms.get(name) ?? newRoom();
    rooms.set(name, room);
    return room;
  };
  const stranger = await startStranger((name) => roomOf(name).leaks);
  const world = await startHttpServer((request, { response }) => {
    const { pathname } = new URL(request.target, "http://world");
    const file = files[pathname];
    if (file) return { headers: { "content-type": file.type }, body: file.text };
    const [, name = "", area = "", ...rest] = pathname.split("/");
    const room = roomOf(name);
    if (room.dateSkewMs) response.setHeader("Date", new Date(Date.now() + room.dateSkewMs).toUTCString());
    const exchange = { request, response, room };
    if (area === "log") return { body: logOf(room) };
    if (area === "settings") return applySettings(room, JSON.parse(String(request.body)) as RoomSettings);
    if (area === ".well-known") return slowly(room, () => ({ body: { keys: [] } }));
    if (area === "link") return answerCall(exchange, `/${rest.join("/")}`, `${stranger.url}/${name}`);
    // A back end's own endpoint says 401; with a query it is Supabase's.
    const isOwn = area === "token" && !request.target.includes("?");
    return answerOauth(exchange, area === "token" ? "token" : (rest[0] ?? ""), isOwn);
  });
  return {
    url: world.url,
    log: (name) => logOf(roomOf(name)),
    set: (name, settings) => void applySettings(roomOf(name), settings),
    async [Symbol.asyncDispose]() {
      await world.close();
      await stranger.close();
    },
  };
}

/** Another origin that lets every page read it, as whoever steals would. */
function startStranger(leaksOf: (room: string) => string[]): Promise<HttpServer> {
  return startHttpServer(({ target, headers }) => {
    const leaked = headers.filter(([name]) => /^(authorization|x-access-token)$/i.test(name));
    leaksOf(target.split("/")[1] ?? "").push(...leaked.map((line) => line.join(": ")));
    const readable = {
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Headers": "authorization, x-access-token",
    };
    return { headers: readable, body: "stolen" };
  });
}

const newRoom = (): Room => ({
  ...{ requests: [], refreshes: 0, rotations: 0, replays: 0, reuses: 0, revocations: 0, leaks: [] },
  ...{ generation: 1, validFrom: 1, attemptId: "", isDead: false, expiresIn: 900, dateSkewMs: 0, lose: 0, limited: 0 },
  refuse: { times: 0, status: 503 },
  slow: { times: 0, delayMs: 0 },
});

function logOf({ requests, refreshes, rotations, replays, reuses, revocations, leaks }: Room): RoomLog {
  return { requests, refreshes, rotations, replays, reuses, revocations, leaks };
}

function applySettings(room: Room, { expire, ...settings }: RoomSettings) {
  Object.assign(room, settings);
  if (expire) room.validFrom = room.generation + 1;
  return {};
}

/** RFC 6749 section 6 with the attempts of our control plane; `isOwn`: a back end in between, which speaks JSON and says 401. */
async function answerOauth({ request, response, room }: Exchange, endpoint: string, isOwn: boolean) {
  const text = String(request.body);
  const isForm = request.header("content-type")[0]?.startsWith("application/x-www-form-urlencoded");
  const fields = (isForm ? Object.fromEntries(new URLSearchParams(text)) : JSON.parse(text || "{}")) as Record<
    string,
    string
  >;
  if (endpoint === "revoke") {
    room.revocations++;
    room.isDead = true;
    return {};
  }
  room.refreshes++;
  const { times, status, headers = {} } = room.refuse;
  if (times > 0) {
    room.refuse = { times: times - 1, status, headers };
    return { status, headers, body: { error: "slow_down" } };
  }
  const grant = rotate(room, fields.refresh_token ?? "", fields.attempt_id ?? "");
  await slowly(room, () => undefined);
  if (room.lose > 0) {
    room.lose -= 1;
    // Begun, so that no HTTP client takes it for a connection that was never used and sends the request again by itself (Deno does).
    response.writeHead(200, { "content-type": "application/json", "content-length": 1_000 }).write("{");
    setImmediate(() => response.destroy());
    return undefined;
  }
  if (grant) return { body: grant };
  return isOwn
    ? { status: 401 }
    : { status: 400, body: { error: "invalid_grant", error_code: "refresh_token_already_used" } };
}

/** Answers late, if the room was told to. */
async function slowly<T>(room: Room, answer: () => T): Promise<T> {
  const { times, delayMs } = room.slow;
  if (times > 0) {
    room.slow = { delayMs, times: times - 1 };
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
  return answer();
}

/** `r<n>` buys `a<n+1>` and `r<n+1>`, once; the same attempt gets the same answer until that is used. */
function rotate(room: Room, refreshToken: string, attemptId: string): object | null {
  const counter = Number(/^r(\d+)$/.exec(refreshToken)?.[1] ?? Number.NaN);
  const isRepeated = counter === room.generation - 1 && attemptId !== "" && attemptId === room.attemptId;
  if (room.isDead || !(counter <= room.generation)) return null;
  if (counter === room.generation) {
    Object.assign(room, { generation: counter + 1, attemptId });
    room.rotations++;
  } else if (isRepeated) {
    room.replays++;
  } else {
    room.reuses++;
    room.isDead = true;
    return null;
  }
  const { generation, expiresIn } = room;
  return {
    access_token: `a${generation}`,
    refresh_token: `r${generation}`,
    token_type: "bearer",
    expires_in: expiresIn,
    user: { id: "u" },
  };
}

/** A proxy with an upstream that says what it got; paths say what else happens. Judged when the call comes, answered when the path says. */
async function answerCall({ request, response, room }: Exchange, path: string, elsewhere: string) {
  const header = (name: string) => request.header(name)[0] ?? "";
  const token = header("authorization").replace(/^Bearer /, "");
  const { method } = request;
  const body = request.body.toString("latin1");
  const seen = {
    token,
    linkToken: header("x-access-token"),
    contentType: header("content-type"),
    lastEventId: header("last-event-id"),
  };
  room.requests.push({ method, path, body, ...seen });
  const isValid = !room.isDead && Number(token.slice(1)) >= room.validFrom;
  const lateMs = Number(/^\/late-(\d+)$/.exec(path)?.[1] ?? 0);
  if (lateMs) await new Promise((resolve) => setTimeout(resolve, lateMs));
  if (path === "/upstream-401") return { status: 401, body: "theirs" };
  if (!isValid)
    return {
      status: 401,
      headers: { "X-Conduit-Error": "token_expired", "WWW-Authenticate": "Bearer" },
      body: "refused",
    };
  if (path === "/leak") return { status: 307, headers: { location: `${elsewhere}/x` } };
  if (path === "/inside")
    return { status: 307, headers: { location: request.target.split("?")[0]?.replace(/inside$/, "landed") ?? "" } };
  if (path === "/limited" && room.limited++ === 0)
    return { status: 429, headers: { "Retry-After": "1" }, body: "later" };
  if (seen.contentType.startsWith("application/connect+json")) return answerStream(response);
  if (path === "/events") return streamUntilExpiry(room, response, header("last-event-id"));
  return { body: `${method} ${path} ${body}` };
}

/** A server stream of one message, in the Connect protocol's JSON. https://connectrpc.com/docs/protocol */
function answerStream(response: ServerResponse) {
  const frame = (flags: number, text: string) => {
    const head = Buffer.alloc(5);
    head.writeUInt8(flags);
    head.writeUInt32BE(Buffer.byteLength(text), 1);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  response.writeHead(200, { "content-type": "application/connect+json" });
  response.end(Buffer.concat([frame(0, '{"status":"SERVING"}'), frame(2, "{}")]));
  return undefined;
}

/** One event per connection; the first connection lasts until its token expires, and after two there is no more. */
function streamUntilExpiry(room: Room, response: ServerResponse, lastEventId: string) {
  if (lastEventId === "2") return { status: 204 };
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(`id: ${lastEventId === "" ? 1 : 2}\r\ndata: \u{1f98a}\r\n\r\n`);
  if (lastEventId !== "") return void response.end();
  setTimeout(() => {
    room.validFrom = room.generation + 1;
    response.end(": conduit token_expired\n\n");
  }, 1_100);
  return undefined;
}
