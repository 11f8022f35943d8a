import type { ErrorCode } from "./errors.ts";

/** What a person who meets an error wants to know; the page `server/ERRORS.md` is made of it. */
export interface ErrorGuide {
  /** How it comes about. */
  readonly cause: string;
  /** What whoever reads it does about it. */
  readonly remedy: string;
}

const guide = (cause: string, remedy: string): ErrorGuide => ({ cause, remedy });

/** Cause and remedy of every error of `errors.ts`. */
export const ERROR_GUIDE: Readonly<Record<ErrorCode, ErrorGuide>> = {
  bad_request: guide(
    "The request breaks a rule of HTTP (Host, framing, target, expectation), or brings a query parameter that the link adds itself",
    "Correct the request as `detail` says; leave the parameter out",
  ),
  path_ambiguous: guide(
    "The path has dot segments, backslashes, control characters, broken escapes, `//`, `;`, `%2F` or `%5C`",
    "Send the path in its plain form; for `//`, `;`, `%2F` and `%5C` a link without deny rules and claims in paths can set `allow_ambiguous_paths`",
  ),
  token_ambiguous: guide("Two different user tokens came in one request", "Send one token, in one place"),
  link_token_missing: guide(
    "No `X-Access-Token` header was sent",
    "Send the link's token (`cl_pub_…`) in `X-Access-Token`",
  ),
  link_token_invalid: guide(
    "The link token is unknown, of another link, expired or revoked; the answer does not say which",
    "Use a current token of this link; make one with CreateLinkToken",
  ),
  token_missing: guide("The link demands a user's JWT and none was sent", "Send `Authorization: Bearer <JWT>`"),
  token_malformed: guide(
    "The token is not a JWT in strict compact form, is encrypted (JWE), or names its own key",
    "Send the JWT as its issuer made it, without quotes, line breaks or padding",
  ),
  token_algorithm_refused: guide(
    "The token's `alg` is not among the issuer's algorithms",
    "Sign with one of the algorithms the issuer lists, or list that algorithm",
  ),
  token_signature_invalid: guide(
    "No key of the issuer verifies the signature, or none has the token's `kid`",
    "Check secret and encoding, or the issuer's key set; after a rotation RefreshKeys fetches it anew",
  ),
  token_expired: guide("The token's `exp` has passed", "Get a new token; the SDK does so by itself"),
  token_not_yet_valid: guide(
    "`nbf` or `iat` lies in the future by more than the leeway",
    "Set the signer's clock right",
  ),
  token_issuer_unknown: guide(
    "None of the link's issuers has the token's `iss`, compared character for character",
    "Correct the issuer's `iss` (a slash at the end counts), or add the issuer to the link",
  ),
  token_audience_mismatch: guide(
    "The token's `aud` names none of the link's audiences",
    "Ask the provider for a token for this API, or list its audience on the link",
  ),
  token_type_mismatch: guide(
    "The token is of another kind: an ID token, or one of another `typ`",
    "Send the access token; an issuer that has only ID tokens can set `accept_id_tokens`",
  ),
  token_claim_missing: guide(
    "The token lacks a claim that the link, its rule, its limit or a header demands",
    "Let the issuer put the claim named in `detail` into its tokens",
  ),
  token_claim_invalid: guide(
    "A claim has a wrong type, a wrong value, or characters that cannot be sent in a header",
    "Correct the claim named in `detail` where tokens are made",
  ),
  token_revoked: guide("The token, its session, user, key or issuer was revoked", "Sign in again"),
  rule_denied: guide(
    "A deny rule matches, or no allow rule matches this method, path, query and user",
    "See with `conduit explain --path`; change the link's rules, or the call",
  ),
  insufficient_scope: guide(
    "The token lacks a scope the link demands",
    "Ask for the scope named in `WWW-Authenticate`",
  ),
  origin_denied: guide(
    "The link token is bound to origins, and the page's is not among them, or none was sent",
    "Add the origin to the link token, or use another token there",
  ),
  address_denied: guide(
    "The link token is bound to networks, and the client's address lies in none",
    "Add the network to the link token; behind a load balancer set `--trusted-proxies`",
  ),
  csrf_rejected: guide(
    "The user token came in a cookie, without proof that the app's own page sent it",
    "Send `X-Access-Token` too, or call from a listed origin",
  ),
  link_disabled: guide("The link was switched off by DisableLink", "Switch it on with EnableLink"),
  link_unknown: guide(
    "No link has the id in the URL, or the path is the proxy's own",
    "Check the URL: `<proxy>/<link-id>/<path>`",
  ),
  request_timeout: guide(
    "Head or body of the request did not arrive in time",
    "Send it again; look at the client's network",
  ),
  body_too_large: guide(
    "The request's body is larger than the link allows",
    "Send less, or raise `request_body_max_bytes`",
  ),
  target_too_long: guide("Path and query are longer than 8 KiB", "Send long values in the body"),
  head_too_large: guide("The header has more than 32 KiB or 200 lines", "Send fewer or shorter headers"),
  rate_limited: guide(
    "A limit of the link is used up for this user, token or address",
    "Wait as long as `Retry-After` says",
  ),
  concurrency_limited: guide("Too many requests are under way at once", "Wait as long as `Retry-After` says"),
  not_supported: guide(
    "TRACE, CONNECT, an unknown transfer coding, or an upgrade the link does not allow; in the API, an unknown method",
    "Use what is supported; check the client's version",
  ),
  upstream_unreachable: guide(
    "No connection to the upstream came about: name, network, TLS",
    "Check the link's `base_url` and the upstream; the log has the cause",
  ),
  upstream_invalid: guide(
    "The upstream's answer is not valid HTTP or broke off",
    "Look at the upstream; the log has the cause",
  ),
  upstream_address_refused: guide(
    "The upstream's name leads to a loopback, private, link-local or special address",
    "Use a public address; an operator can set `allow_private` on the link",
  ),
  upstream_redirect_refused: guide(
    "`Location` or `Content-Location` leads outside the link's base URL",
    "Correct `base_url`, or list the target in `allowed_redirect_origins`",
  ),
  upstream_overloaded: guide(
    "All connections to the upstream are busy and too many requests wait",
    "Try again; relieve the upstream",
  ),
  config_stale: guide(
    "The proxy has not heard from the control plane for longer than the link allows",
    "Restore the way to the control plane",
  ),
  issuer_unreachable: guide(
    "The issuer's keys cannot be fetched, and none are kept",
    "Check the issuer's URL and network; GetIssuer shows the last error",
  ),
  not_ready: guide("The process is starting, has no configuration yet, or is stopping", "Try again in a moment"),
  upstream_timeout: guide(
    "The upstream did not connect or answer in time",
    "Look at the upstream, or raise the link's timeouts",
  ),
  loop_detected: guide("The link's upstream is, in the end, this installation", "Correct `base_url`"),
  credential_invalid: guide(
    "No API key was sent, or it is unknown, expired or deleted",
    "Send `authorization: Bearer cl_key_…`",
  ),
  permission_missing: guide(
    "The key's role does not allow the method",
    "Use a key with the role that the method's comment names",
  ),
  resource_not_found: guide(
    "There is no such resource, or it is another project's; the answer does not say which",
    "Check the name and the key's project",
  ),
  resource_exists: guide("The id is taken; link ids are never used again", "Choose another id, or leave it out"),
  field_invalid: guide("A field of the request is wrong; the violations name each", "Correct the fields named"),
  etag_mismatch: guide("The resource changed after it was read", "Read it again and repeat the change"),
  page_token_invalid: guide("The page token belongs to another list, or to none", "Start the list again without it"),
  request_id_reused: guide("The `request_id` was used with another request", "Make a new UUID for each new request"),
  resource_in_use: guide(
    "Other resources use this one, or there is no room for another",
    "Change those first, or wait, as `detail` says",
  ),
  refresh_token_invalid: guide(
    "The refresh token is unknown, expired, was used before, or its session was revoked",
    "Sign in again; a client that was told so without reason sends its retries with the same `attempt_id`",
  ),
  join_token_invalid: guide(
    "The join token is unknown, used or older than an hour",
    "Make a new one with `conduit proxy join-token`",
  ),
  proxy_revoked: guide(
    "An operator has revoked this proxy (`conduit proxy revoke`): it gets no configuration any more",
    "Nothing if that was meant; else empty its data directory and let it join with a new join token",
  ),
  store_unavailable: guide("The database cannot be reached; nothing was changed", "Try again; look at the database"),
  deadline_exceeded: guide("The call took longer than its deadline", "Try again with a longer deadline"),
  call_too_large: guide("The message is larger than 1 MiB", "Send less in one call"),
  precondition_unmet: guide(
    "A condition for the change does not hold yet; `metadata.condition` names it",
    "Wait until it holds and try again",
  ),
  internal: guide("A fault of ours", "Report it with the request id, which joins it to the log"),
};
