import type { JudgedRequest } from "../judge/judged-request.ts";
import { Refusal } from "../judge/refusal.ts";
import type { Link } from "../model/link.ts";
import type { ServedConfig, ServedLink } from "./served-link.ts";
import type { Accepted, WithLink } from "./stage-values.ts";
import type { Handshake } from "./websocket/handshake.ts";

/** A refusal of a request whose link is known: it is counted with the link, and its answer says what the link's answers say. */
export interface RouteRefusal {
  readonly refusal: Refusal;
  readonly served: ServedLink;
}

/** Paths below it are the proxy's own; nothing answers there yet. */
const RESERVED = "/.conduit";

/**
 * Stage 2, route: the first path segment is the link's id; the rest is judged and forwarded byte for byte (S13).
 * Refuses with `not_ready`, `config_stale`, `link_unknown`, `link_disabled`, `body_too_large`, `not_supported`.
 */
export function route(accepted: Accepted, config: ServedConfig): WithLink | RouteRefusal | Refusal {
  if (!config.isReady) return new Refusal("not_ready", { detail: "The proxy has no configuration yet" });
  if (isOlder(config, config.maxAgeMs)) return new Refusal("config_stale");
  const { path } = accepted.target;
  const end = path.indexOf("/", 1);
  const served = config.link(end < 0 ? path.slice(1) : path.slice(1, end));
  if (served === undefined) return new Refusal("link_unknown");
  const rest = end < 0 ? "/" : path.slice(end);
  const refusal = refusalOf(accepted, served.judged.link, rest) ?? staleOf(served.judged.link, config);
  if (refusal !== undefined) return { refusal, served };
  return { accepted, served, link: served.judged, request: judgedRequest(accepted, rest) };
}

/** What was withdrawn meanwhile would still be let in: such a link closes instead. */
const staleOf = ({ maxConfigAgeMs }: Link, config: ServedConfig): Refusal | undefined =>
  maxConfigAgeMs !== undefined && isOlder(config, maxConfigAgeMs) ? new Refusal("config_stale") : undefined;

const isOlder = (config: ServedConfig, maxAgeMs: number): boolean =>
  maxAgeMs !== Number.POSITIVE_INFINITY && config.ageMs() > maxAgeMs;

function refusalOf({ bodyLength, handshake }: Accepted, link: Link, path: string): Refusal | undefined {
  if (path === RESERVED || path.startsWith(`${RESERVED}/`)) {
    return new Refusal("link_unknown", { detail: "Paths under /<link-id>/.conduit/ are the proxy's own" });
  }
  if (link.state === "DISABLED") return new Refusal("link_disabled");
  if (typeof bodyLength === "number" && bodyLength > link.requestBodyMaxBytes) return new Refusal("body_too_large");
  if (handshake !== undefined && !link.allowWebsocket) {
    return new Refusal("not_supported", { detail: "This link does not allow WebSockets" });
  }
  if (handshake?.problem !== undefined) return new Refusal("bad_request", { detail: handshake.problem });
  return undefined;
}

function judgedRequest({ incoming, target, head, handshake, clientAddress }: Accepted, path: string): JudgedRequest {
  return {
    method: incoming.method,
    path,
    query: target.query.slice(1),
    accessTokens: handshake === undefined ? head.linkToken : [...head.linkToken, ...handshake.linkTokens],
    authorizations: handshake === undefined ? head.authorization : [...head.authorization, ...bearersOf(handshake)],
    origin: head.origin[0],
    clientAddress,
    cookies: head.cookie,
    fetchSites: head.fetchSite,
  };
}

/** What a browser says in subprotocols counts as the headers it cannot set. */
const bearersOf = ({ userTokens }: Handshake): string[] => userTokens.map((token) => `Bearer ${token}`);
