/** RFC 9110 7.6.1: these speak about one connection only. `Connection` names more of them. */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"];

const NOT_PLAIN = /[^a-z0-9-]/;
const EACH_NOT_PLAIN = /[^a-z0-9]/g;

/**
 * A header's name as upstreams compare it: CGI and many frameworks make `X_User_ID` and `X-User-ID` one name, PHP
 * `X.User.ID` too.
 */
export function canonicalName(name: string): string {
  const lower = name.toLowerCase();
  return NOT_PLAIN.test(lower) ? lower.replace(EACH_NOT_PLAIN, "-") : lower;
}

/** Request headers that only the proxy may send (contract.md 5), by canonical name. */
const STRIPPED = new Set([
  ...HOP_BY_HOP,
  "expect",
  "host",
  "content-length",
  "authorization",
  "x-access-token",
  "x-debug-jwt",
  "cookie",
  "cookie2",
  "forwarded",
  "forwarded-for",
  "x-forwarded",
  "x-real-ip",
  "x-remote-ip",
  "x-remote-addr",
  "x-remote-user",
  "remote-user",
  "x-originating-ip",
  "x-envoy-external-address",
  "x-azure-clientip",
  "fly-client-ip",
  "x-user",
  "x-tenant",
  "x-host",
  "x-original-host",
  "true-client-ip",
  "cf-connecting-ip",
  "cf-connecting-ipv6",
  "fastly-client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-request-id",
  // May hold tokens of ours; what is left of it is written anew.
  "sec-websocket-protocol",
  // Frameworks that obey these would do another thing than the one that was judged.
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-original-method",
  "x-original-url",
  "x-rewrite-url",
]);
const STRIPPED_PREFIXES = ["proxy-", "x-conduit-", "x-user-", "x-tenant-", "x-forwarded-"];

/** Whether a request header of this canonical name is the proxy's to send, whatever the link. */
export const isProxysOwn = (name: string): boolean => STRIPPED.has(name) || hasPrefix(name, STRIPPED_PREFIXES);

function hasPrefix(name: string, prefixes: readonly string[]): boolean {
  for (const prefix of prefixes) if (name.startsWith(prefix)) return true;
  return false;
}

/** Names that neither an injection nor a claim header may have: they frame or route the message. */
export const isFramingName = (name: string): boolean =>
  HOP_BY_HOP.includes(name) || ["host", "content-length", "expect", "via", "x-request-id"].includes(name);

/** Canonical names in the values of `Connection` lines, less those that are withheld anyway. */
export function connectionListed(values: readonly string[]): readonly string[] {
  const [first] = values;
  if (values.length === 1 && (first === "keep-alive" || first === "close")) return NOTHING;
  return values.flatMap((value) => value.split(",").map((name) => canonicalName(name.trim())));
}

const NOTHING: readonly string[] = [];

/** Response headers that never reach a client, by lower-case name (contract.md 5). */
const DROPPED = new Set([...HOP_BY_HOP, "x-request-id", "x-content-type-options"]);

/** Set for every path on the origin, which links share: one link's upstream would act on the others' pages (S26). */
const DROPPED_SHARED_ORIGIN = new Set([
  "set-cookie",
  "set-cookie2",
  "clear-site-data",
  "strict-transport-security",
  "alt-svc",
  "service-worker-allowed",
  "refresh",
  "report-to",
  "nel",
  // Kept by browsers for the origin as well; standards that came later or went.
  "accept-ch",
  "critical-ch",
  "use-as-dictionary",
  "set-login",
  "secure-session-registration",
  "sec-session-registration",
  "public-key-pins",
  "public-key-pins-report-only",
  "expect-ct",
]);
const DROPPED_PREFIXES = ["x-conduit-", "access-control-", "proxy-"];

/** Whether an upstream's response header of this lower-case name is kept from clients of every link. */
export const isDroppedFromAnswer = (name: string): boolean =>
  DROPPED.has(name) || DROPPED_SHARED_ORIGIN.has(name) || hasPrefix(name, DROPPED_PREFIXES);
