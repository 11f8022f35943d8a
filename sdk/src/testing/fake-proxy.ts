import { abortReason } from "../abort.ts";
import { UserTokenError, verifyUserToken } from "../server/verify-user-token.ts";
import { TEST_SECRET } from "./make-token.ts";

/** Options of {@link createFakeProxy}. */
export interface FakeProxyOptions {
  /** The API behind the proxy. Default: 200 with `{ method, path, subject }`. */
  readonly upstream?: (request: ReceivedRequest) => Response | Promise<Response>;
  /** What user tokens are signed with. Default `TEST_SECRET`, which `makeToken` signs with. */
  readonly secret?: string | Uint8Array;
  /** Judges `exp`. Default: the wall clock. */
  readonly clock?: { now(): number };
}

/** A request that the proxy let through. */
export interface ReceivedRequest {
  readonly method: string;
  /** Path and query below the link. */
  readonly path: string;
  /** As sent, the two credentials included. */
  readonly headers: Headers;
  readonly body: string;
  /** `sub` of the verified user token. */
  readonly subject: string;
}

/** A link without a network: give `fetch` to the client as `platform.fetch`. */
export interface FakeProxy {
  /** The link's URL, for `createConduit`. */
  readonly url: string;
  /** The one link token that is accepted. */
  readonly linkToken: string;
  /** Answers as the proxy would, judging both tokens. Other origins reject as an unreachable network does. */
  readonly fetch: (input: string | Request, init?: RequestInit) => Promise<Response>;
  /** What came through to the upstream, in order. */
  readonly received: readonly ReceivedRequest[];
  /** The codes of all requests that were refused, in order. */
  readonly refusals: readonly string[];
  /** From now on this user token is refused as `token_revoked`. */
  revoke(token: string): void;
  /** Refuses the next request that would come through, e.g. `refuseNext("rate_limited", 429, { "Retry-After": "1" })`. Default status 403. */
  refuseNext(code: string, status?: number, headers?: Readonly<Record<string, string>>): void;
}

interface Refusal {
  readonly code: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

const url = "https://proxy.test/test-link";
const linkToken = "cl_pub_test";
const codeOfError: Readonly<Record<string, string>> = {
  "Malformed token": "token_malformed",
  "Algorithm not allowed": "token_algorithm_refused",
  "Invalid signature": "token_signature_invalid",
  "Token expired": "token_expired",
  "Token not yet valid": "token_not_yet_valid",
  "Missing required claim: exp": "token_claim_missing",
};

/** Makes a link that requires its link token and an HS256 user token, has no rules and no limits, and answers in memory. */
export function createFakeProxy(options: FakeProxyOptions = {}): FakeProxy {
  const { upstream = echo, secret = TEST_SECRET, clock = Date } = options;
  const received: ReceivedRequest[] = [];
  const refusals: string[] = [];
  const revoked = new Set<string>();
  const planned: Refusal[] = [];

  const judge = async (headers: Headers): Promise<Refusal | string> => {
    const sentLinkToken = headers.get("X-Access-Token");
    if (sentLinkToken === null) return { code: "link_token_missing", status: 401 };
    if (sentLinkToken !== linkToken) return { code: "link_token_invalid", status: 401 };
    const token = /^Bearer (.*)$/i.exec(headers.get("Authorization") ?? "")?.[1];
    if (token === undefined) return { code: "token_missing", status: 401 };
    try {
      const { sub } = await verifyUserToken(token, { secret, expLeewaySeconds: 0, now: () => clock.now() });
      return revoked.has(token) ? { code: "token_revoked", status: 401 } : (planned.shift() ?? sub);
    } catch (error) {
      if (!(error instanceof UserTokenError)) throw error;
      return { code: codeOfError[error.message] ?? "token_claim_invalid", status: 401 };
    }
  };
  return {
    url,
    linkToken,
    received,
    refusals,
    revoke: (token) => void revoked.add(token),
    refuseNext: (code, status = 403, headers) => void planned.push({ code, status, headers }),
    async fetch(input, init) {
      const request = new Request(input, init);
      if (!request.url.startsWith(`${url}/`)) throw new TypeError("fetch failed: the fake proxy has only its own link");
      const body = await request.text();
      const verdict = await judge(request.headers);
      if (request.signal.aborted) throw abortReason(request.signal);
      if (typeof verdict !== "string") {
        refusals.push(verdict.code);
        return refuse(verdict);
      }
      const { method, headers } = request;
      const passed = { method, path: request.url.slice(url.length), headers, body, subject: verdict };
      received.push(passed);
      return upstream(passed);
    },
  };
}

function echo({ method, path, subject }: ReceivedRequest): Response {
  return Response.json({ method, path, subject });
}

/** As the proxy refuses: problem details (RFC 9457) and its own header, by which the SDK tells its 401 from the upstream's. */
function refuse({ code, status, headers }: Refusal): Response {
  const problem = { type: `https://conduit.link/errors/${code}`, title: code, status, detail: code, code };
  return new Response(JSON.stringify(problem), {
    status,
    headers: {
      "Content-Type": "application/problem+json",
      "Cache-Control": "no-store",
      "X-Conduit-Error": code,
      ...(status === 401 && { "WWW-Authenticate": 'Bearer realm="test-link", error="invalid_token"' }),
      ...headers,
    },
  });
}
