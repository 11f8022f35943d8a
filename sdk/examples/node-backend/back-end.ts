// The back end's own routes: /login, /refresh, /logout, /password. Everything else it might do is left out.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Sessions, Tokens } from "./sessions.ts";
import type { Users } from "./users.ts";

const COOKIE = "session";
/** As long as an unused session lives (contract: 7 days). */
const COOKIE_MAX_AGE_S = 7 * 24 * 60 * 60;
const BODY_MAX_BYTES = 4 * 1024;

export interface BackEndOptions {
  readonly users: Users;
  readonly sessions: Sessions;
  /** True behind https, as it always must be outside one's own machine: the cookie is sent over nothing else. */
  readonly isSecure: boolean;
}

interface Answer {
  readonly status: number;
  readonly body?: object;
  /** A new refresh token, "" = forget the one there is; undefined = leave it. */
  readonly refreshToken?: string;
}

type Route = (options: BackEndOptions, request: IncomingMessage) => Promise<Answer>;

const ROUTES: Readonly<Record<string, Route>> = {
  "/login": login,
  "/refresh": refresh,
  "/logout": logout,
  "/password": changePassword,
};

/** Answers a request of the page; false = it is none of ours. */
export async function answerBackEnd(
  options: BackEndOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const route = Object.hasOwn(ROUTES, request.url ?? "") ? ROUTES[request.url ?? ""] : undefined;
  if (route === undefined) return false;
  const answer = await judged(route, options, request).catch((): Answer => ({ status: 503 }));
  if (answer.refreshToken !== undefined)
    response.setHeader("Set-Cookie", cookieOf(answer.refreshToken, options.isSecure));
  response.writeHead(answer.status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(JSON.stringify(answer.body ?? {}));
  return true;
}

async function judged(route: Route, options: BackEndOptions, request: IncomingMessage): Promise<Answer> {
  if (request.method !== "POST") return { status: 405 };
  // The cookie is SameSite=Strict; this stops other origins of the same site, and is refused by old browsers' preflight.
  const site = request.headers["sec-fetch-site"];
  const isOwnPage = site === undefined || site === "same-origin";
  return isOwnPage && request.headers["content-type"] === "application/json"
    ? route(options, request)
    : { status: 403 };
}

async function login({ users, sessions }: BackEndOptions, request: IncomingMessage): Promise<Answer> {
  const { email = "", password = "" } = await readBody(request);
  const user = await users.find(email, password);
  if (user === undefined) return { status: 401 };
  return signedIn(await sessions.open(user, (request.headers["user-agent"] ?? "").slice(0, 100)));
}

async function refresh({ sessions }: BackEndOptions, request: IncomingMessage): Promise<Answer> {
  const refreshToken = cookieFrom(request);
  const tokens = refreshToken === undefined ? undefined : await sessions.refresh(refreshToken);
  return tokens === undefined ? { status: 401, refreshToken: "" } : signedIn(tokens);
}

async function logout({ sessions }: BackEndOptions, request: IncomingMessage): Promise<Answer> {
  const refreshToken = cookieFrom(request);
  if (refreshToken !== undefined) await sessions.end(refreshToken);
  return { status: 200, refreshToken: "" };
}

/** A new password ends every session, also a thief's; the page that changed it gets a new one. */
async function changePassword({ users, sessions }: BackEndOptions, request: IncomingMessage): Promise<Answer> {
  const { email = "", password = "", newPassword = "" } = await readBody(request);
  const user = await users.find(email, password);
  if (user === undefined) return { status: 401 };
  if (newPassword.length < 12) return { status: 400 };
  await users.setPassword(user, newPassword);
  await sessions.endAll(user, "password changed");
  return signedIn(await sessions.open(user, (request.headers["user-agent"] ?? "").slice(0, 100)));
}

const signedIn = ({ access, refreshToken }: Tokens): Answer => ({ status: 200, body: access, refreshToken });

const cookieOf = (value: string, isSecure: boolean): string =>
  [
    `${COOKIE}=${value}`,
    ...["HttpOnly", "SameSite=Strict", "Path=/", `Max-Age=${value === "" ? 0 : COOKIE_MAX_AGE_S}`],
    ...(isSecure ? ["Secure"] : []),
  ].join("; ");

function cookieFrom(request: IncomingMessage): string | undefined {
  const cookies = (request.headers.cookie ?? "").split(";").map((cookie) => cookie.trim());
  return cookies.find((cookie) => cookie.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1) || undefined;
}

async function readBody(request: IncomingMessage): Promise<Record<string, string>> {
  let text = "";
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > BODY_MAX_BYTES) throw new Error("the body is too long");
  }
  const body: unknown = JSON.parse(text);
  const entries = typeof body === "object" && body !== null ? Object.entries(body) : [];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
