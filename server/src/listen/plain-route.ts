import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../log.ts";
import { ConduitError } from "../model/errors.ts";
import type { PlainAnswer, PlainRequest, PlainRoute } from "../model/plain-http.ts";
import type { Api } from "./api.ts";

/** Longest body of a plain request. */
const BODY_MAX_BYTES = 64 * 1024;

/** Asks the routes in order; undefined when none claims the request. A route's failure is an answer too. */
export async function answerPlain(
  request: IncomingMessage,
  routes: readonly PlainRoute[],
  { log, clientAddress }: { readonly log: Log; readonly clientAddress?: Api["clientAddress"] },
): Promise<PlainAnswer | undefined> {
  const plain = plainRequest(request, clientAddress);
  try {
    for (const route of routes) {
      const answer = await route(plain);
      if (answer !== undefined) return answer;
    }
    return undefined;
  } catch (cause) {
    if (cause instanceof ConduitError) return problem(cause);
    log.error({ err: cause }, "plain route failed");
    return problem(new ConduitError("internal"));
  }
}

function plainRequest(request: IncomingMessage, clientAddress: Api["clientAddress"]): PlainRequest {
  const [path = ""] = (request.url ?? "").split("?", 1);
  return {
    // HEAD is GET whose body Node leaves out.
    method: request.method === "HEAD" ? "GET" : (request.method ?? ""),
    path,
    clientAddress: clientAddressOf(request, clientAddress),
    header: (name) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    body: () => readBody(request),
  };
}

/** Who a request comes from: the peer, unless the rule believes what it says in `X-Forwarded-For`. */
export function clientAddressOf(request: IncomingMessage, rule: Api["clientAddress"]): string {
  const peer = request.socket.remoteAddress?.replace(/^::ffff:(?=[0-9.]+$)/, "") ?? "";
  return rule === undefined ? peer : rule(peer, request.headersDistinct["x-forwarded-for"] ?? []);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > BODY_MAX_BYTES) {
      throw new ConduitError("body_too_large", { detail: "The request body is larger than 64 KiB" });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A failure in the form of RFC 9457. */
export function problem({ code, detail, kind }: ConduitError): PlainAnswer {
  const type = `https://conduit.link/errors/${code}`;
  return {
    status: kind.http,
    headers: { "Content-Type": "application/problem+json", "Cache-Control": "no-store" },
    body: JSON.stringify({ type, title: kind.title, status: kind.http, detail, code }),
  };
}

/** Sends an answer, its own headers over those set before. */
export function sendPlain(response: ServerResponse, { status, headers, body, cookies = [] }: PlainAnswer): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (cookies.length > 0) response.setHeader("Set-Cookie", cookies);
  response.writeHead(status, { "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}
