import type { FetchBody } from "../../body.ts";
import { isConduitError } from "../../errors.ts";
import { type Grant, headerSafe, parseGrant } from "../../grant.ts";
import { parseTarget } from "../../target.ts";

/** Where requests are sent on to. */
export interface RelayOptions {
  /** The link: `https://<proxy>/<link-id>`. Plain http only to the own machine. */
  readonly url: string | URL;
  /** The link's token `cl_pub_…`, sent as `X-Access-Token`. */
  readonly linkToken?: string | undefined;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** The user's token for one request; nothing = not signed in. */
export type UserToken = Grant | null | undefined;

/** A request of either router. */
export interface Incoming {
  readonly method: string;
  /** Path and query as they came. */
  readonly target: string;
  /** How many of the path's segments, counted from the end, are the link's. */
  readonly segments: number;
  readonly headers: Headers;
  readonly body: FetchBody | null;
  readonly signal: AbortSignal;
}

/** Hop by hop, ours to set, or none of the link's business: above all the session's cookie. */
const notSent =
  /^(accept-encoding|authorization|connection|content-length|cookie|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade|x-access-token|(forwarded|next-|proxy-|sec-|x-forwarded-|x-invoke-|x-middleware-).*)$/;
/** Hop by hop, changed by `fetch` (it decodes), or said for the proxy's origin and wrong for this one. */
const notReturned =
  /^(alt-svc|connection|content-encoding|keep-alive|location|set-cookie|strict-transport-security|trailer|transfer-encoding|upgrade|access-control-.*)$/;
/** A body up to this size is sent with its length, which some upstreams demand; a larger one streams. */
const maxBufferedBytes = 1024 * 1024;

/** Makes the function that sends one request on with the user's token, and gives the answer for the browser. */
export function relay(
  options: RelayOptions,
): (incoming: Incoming, getToken: () => UserToken | Promise<UserToken>) => Promise<Response> {
  const { linkToken, fetch: send = (url, init) => globalThis.fetch(url, init) } = options;
  const link = parseTarget(options.url);
  if (linkToken !== undefined) headerSafe(linkToken, "linkToken");
  return async (incoming, getToken) => {
    // The session is a cookie: without this, another site's page could act in its owner's name (cross-site request forgery).
    if (incoming.headers.get("Sec-Fetch-Site") === "cross-site") return refusal(403, "Cross-site request refused");
    const grant = await getToken();
    if (!grant) return refusal(401, "Not authenticated");
    const { token } = parseGrant(grant);
    const { prefix, rest } = split(incoming);
    try {
      const url = link.resolve(rest);
      return answerOf(await send(url, await outgoing(incoming, token, linkToken)), prefix, url, link.url);
    } catch (error) {
      // Dot segments: this user's token must not get to another link.
      if (isConduitError(error)) return refusal(400, "Not a path of the link");
      return refusal(502, "The proxy could not be reached");
    }
  };
}

function refusal(status: number, error: string): Response {
  const headers = { "Content-Type": "application/json", "Cache-Control": "no-store" };
  return new Response(JSON.stringify({ error }), { status, headers });
}

/** Cuts the route's own prefix off, leaving the link's part byte for byte: Next.js' decoded segments could not be put together again. */
function split({ target, segments }: Incoming): { readonly prefix: string; readonly rest: string } {
  const [path = "", ...query] = target.split(/(?=\?)/);
  const parts = path.split("/");
  const trailing = path.endsWith("/") ? 1 : 0;
  const tail = parts.slice(parts.length - segments - trailing).join("/");
  return { prefix: path.slice(0, path.length - tail.length).replace(/\/$/, ""), rest: `/${tail}${query.join("")}` };
}

async function outgoing(incoming: Incoming, token: string, linkToken: string | undefined): Promise<RequestInit> {
  const headers = new Headers();
  incoming.headers.forEach((value, name) => {
    if (!notSent.test(name)) headers.set(name, value);
  });
  headers.set("Authorization", `Bearer ${token}`);
  if (linkToken) headers.set("X-Access-Token", linkToken);
  const { method, signal, body } = incoming;
  const length = incoming.headers.get("Content-Length");
  const isSmall = body && length && Number(length) <= maxBufferedBytes;
  return {
    method,
    headers,
    signal,
    body: isSmall ? await new Response(body).arrayBuffer() : body,
    // A redirect followed here would carry the link token to wherever it leads; the browser gets it instead.
    redirect: "manual",
    // Next.js keeps answers of `fetch`: those of one user must not be given to another.
    cache: "no-store",
    ...({ duplex: "half" } as object),
  };
}

function answerOf(answer: Response, prefix: string, url: string, linkUrl: string): Response {
  const headers = new Headers();
  const isDecoded = answer.headers.has("Content-Encoding");
  answer.headers.forEach((value, name) => {
    if (!notReturned.test(name) && !(isDecoded && name === "content-length")) headers.set(name, value);
  });
  const location = answer.headers.get("Location");
  if (location) {
    const { href } = new URL(location, url);
    headers.set("Location", href.startsWith(`${linkUrl}/`) ? prefix + href.slice(linkUrl.length) : href);
  }
  return new Response(answer.body, { status: answer.status, headers });
}
