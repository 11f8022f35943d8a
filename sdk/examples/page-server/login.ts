// The pages' own log-in, at its smallest: whoever presses the button is one user. The token's secret stays here.
// sdk/examples/node-backend has passwords, refresh tokens, and sessions that end at every proxy.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { signUserToken } from "@conduit-link/sdk/server";

/** Subject of the one user's tokens. */
export const USER_ID = "123";

export interface LoginOptions {
  /** Of the HS256 issuer that the link trusts. */
  readonly secret: string;
  /** `iss` of that issuer. */
  readonly issuer: string;
  /** Of the tokens: `15m`, `10s`. */
  readonly lifetime: string;
}

/** Cookies of who is logged in. */
const sessions = new Set<string>();

/** Answers `/api/login`, `/api/conduit-token` and `/api/logout`; false = it is nothing below `/api/`. */
export async function answerLogin(
  options: LoginOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  if (!request.url?.startsWith("/api/")) return false;
  const session = /(?:^|; )session=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
  // Pages of other origins cannot log anybody out; nor could they read the token.
  const isOwnPage = request.method === "POST" && request.headers["sec-fetch-site"] === "same-origin";
  response.setHeader("Cache-Control", "no-store");
  if (!isOwnPage) response.writeHead(403).end();
  else if (request.url === "/api/login") logIn(response);
  else if (request.url === "/api/logout") logOut(session, response);
  else if (request.url !== "/api/conduit-token") response.writeHead(404).end();
  else if (!sessions.has(session)) response.writeHead(401).end();
  else response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(await tokenOf(options)));
  return true;
}

function logIn(response: ServerResponse): void {
  const session = randomUUID();
  sessions.add(session);
  // With `; Secure` everywhere but on one's own machine.
  response.writeHead(204, { "Set-Cookie": `session=${session}; HttpOnly; SameSite=Strict; Path=/` }).end();
}

function logOut(session: string, response: ServerResponse): void {
  sessions.delete(session);
  response.writeHead(204, { "Set-Cookie": "session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0" }).end();
}

/** What the page's `getToken` gets; without `expiresIn` the SDK counts by the token's own `exp`. */
async function tokenOf({ secret, issuer, lifetime }: LoginOptions): Promise<{ accessToken: string }> {
  const claims = { email: "ada@example.com", roles: ["editor"] };
  return { accessToken: await signUserToken({ sub: USER_ID, claims, secret, issuer, expiresIn: lifetime }) };
}
