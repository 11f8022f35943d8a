import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { PlainAnswer, PlainRequest, PlainRoute } from "../model/plain-http.ts";
import { SIGNING_KEY_PURPOSES } from "../model/signing-key.ts";
import { getProject } from "../store/projects.ts";
import type { Store } from "../store/store.ts";
import { publishedJwks } from "./signing-keys.ts";

/** `<issuer>/.well-known/jwks.json`, whatever comes before it in the public URL. */
const PATH = /^\/p\/([a-z][a-z0-9-]{1,38}[a-z0-9])\/\.well-known\/jwks\.json$/;

/** Verifiers may keep it for 5 minutes, and a day when we are away: keys are published well before they sign. */
const CACHE_CONTROL = "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400";

/** Public keys of a project's built-in issuer as JWKS text; undefined = there is no such project. */
export async function jwksOfProject(store: Store, clock: Clock, project: string): Promise<string | undefined> {
  return store.read(async (reader) => {
    if ((await getProject(reader, project)) === undefined) return undefined;
    return publishedJwks(reader, project, clock.now(), SIGNING_KEY_PURPOSES);
  });
}

/** Serves the key sets of all projects (RFC 7517). Public, needs no credential. */
export function createJwksRoute(store: Store, clock: Clock): PlainRoute {
  return async (request) => {
    const project = PATH.exec(request.path)?.[1];
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (project === undefined || !isRead) return undefined;
    const text = await jwksOfProject(store, clock, project);
    return text === undefined ? undefined : answer(request, text);
  };
}

function answer(request: PlainRequest, text: string): PlainAnswer {
  const etag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`;
  const headers = { "content-type": "application/jwk-set+json", "cache-control": CACHE_CONTROL, etag };
  // RFC 9110 13.1.2: a list of etags, compared weakly.
  const known = (request.header("if-none-match") ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (known.includes(etag) || known.includes("*")) return { status: 304, headers, body: "" };
  return { status: 200, headers, body: request.method === "HEAD" ? "" : text };
}
