/** RFC 9110 5.1. */
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/** Names that frame, route or identify the message itself: written by the proxy, or by nobody. */
const RESERVED: ReadonlySet<string> = new Set([
  ...["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"],
  ...["host", "content-length", "expect", "via", "forwarded", "x-request-id"],
]);

/** A name as servers may take it: CGI and its heirs read `X_User_Id` and `x-user-id` as one header. */
export const canonicalHeader = (name: string): string => name.toLowerCase().replaceAll("_", "-");

/** What is wrong with a header that a link wants to send upstream. Public text. */
export function sentHeaderProblem(name: string): string | undefined {
  if (!TOKEN.test(name)) return "must be a header name";
  const canonical = canonicalHeader(name);
  const isReserved = RESERVED.has(canonical) || canonical.startsWith("proxy-") || canonical.startsWith("x-conduit-");
  return isReserved ? "must not be a header that belongs to the connection or to the proxy" : undefined;
}
