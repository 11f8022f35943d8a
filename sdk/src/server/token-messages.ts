import { ControlError } from "./control-error.ts";
import { durationSeconds } from "./duration.ts";

/** How long a token shall live. */
export interface Lifetime {
  /** Seconds, or `15m`, `900s`, `1h`. Default: the project's (15 min); the server caps it. */
  readonly lifetime?: number | string;
  /** The same in seconds; give one of the two. */
  readonly lifetimeSeconds?: number;
}

/** A token to mint. Role needed: `minter` of the project. */
export interface MintTokenRequest extends Lifetime {
  /** `projects/{project}`. */
  readonly parent: string;
  /** The person: the token's `sub`. */
  readonly subject: string;
  /** The links it is for, by resource name `projects/{project}/links/{link}`. */
  readonly links: readonly string[];
  /** Further claims. */
  readonly claims?: object;
  readonly roles?: readonly string[];
  /** Space separated, RFC 8693 section 4.2. */
  readonly scope?: string;
  /** Asks for a refresh token too; `{}` for the project's defaults. */
  readonly session?: Readonly<Record<string, unknown>>;
}

/** A minted token. The names are those a `getToken` may answer, so a back end can hand it on as it is. */
export interface MintedToken {
  readonly accessToken: string;
  /** `Bearer`. */
  readonly tokenType: string;
  /** Seconds. */
  readonly expiresIn: number;
  /** RFC 3339. */
  readonly expireTime: string;
  /** Its `jti`, by which it can be revoked. */
  readonly tokenId: string;
  /** Only with `session`. */
  readonly refreshToken?: string;
  /** Of that session: `projects/{project}/sessions/{session}`. */
  readonly session?: string;
  /** Of refreshed and exchanged tokens, if they have any. */
  readonly scope?: string;
}

/** A token of an issuer that the links trust, to be exchanged for one of ours (RFC 8693). Role needed: `minter`. */
export interface ExchangeTokenRequest extends Lifetime {
  /** `projects/{project}`. */
  readonly parent: string;
  /** The user's token of the other issuer: Auth0, Firebase, any OIDC provider. */
  readonly subjectToken: string;
  /** The links the new token is for, by resource name. Each must accept the subject token. */
  readonly links: readonly string[];
  /** At most what the subject token has. */
  readonly scope?: string;
}

/** A token to ask about. */
export interface IntrospectTokenRequest {
  /** `projects/{project}`. */
  readonly parent: string;
  /** An access token of the built-in issuer, or a refresh token. */
  readonly token: string;
}

/** What is known of a token (RFC 7662). Of one that is not active nothing else is told. Times are RFC 3339. */
export interface IntrospectedToken {
  readonly active: boolean;
  readonly issuer?: string;
  readonly subject?: string;
  readonly links: readonly string[];
  readonly clientId?: string;
  /** `jti`. */
  readonly tokenId?: string;
  /** `sid`. */
  readonly sessionId?: string;
  readonly scope?: string;
  readonly roles: readonly string[];
  readonly issueTime?: string;
  readonly expireTime?: string;
  /** Further claims. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** A request to judge as the proxy would, without sending it. */
export interface VerifyTokenRequest {
  /** `projects/{project}/links/{link}`. */
  readonly link: string;
  /** The user token; empty = judged as if none was sent. */
  readonly token?: string;
  /** Default `GET`. */
  readonly method?: string;
  /** Path and query below the link. Without it the rules are not asked. */
  readonly path?: string;
  /** Value of `X-Access-Token`; without it judged as if a good one had been sent. */
  readonly linkToken?: string;
  /** Value of `Origin`, for link tokens bound to origins. */
  readonly origin?: string;
  /** IP address, for link tokens bound to addresses. */
  readonly clientAddress?: string;
}

/** The proxy's verdict. What does not apply is absent. */
export interface TokenVerdict {
  readonly accepted: boolean;
  /** The stages that were asked, in their order; the last one refused, if any did. */
  readonly judgedStages: readonly string[];
  readonly stage?: string;
  /** HTTP status of the refusal. */
  readonly status?: number;
  /** As in `X-Conduit-Error`. */
  readonly code?: string;
  readonly detail?: string;
  /** As `X-Debug-JWT` shows it, with what the link wants and the token has. */
  readonly jwtError?: string;
  readonly expected?: string;
  readonly seen?: string;
  /** What the token says of itself, verified or not: `TokenSummary` of the API. */
  readonly token?: Readonly<Record<string, unknown>>;
  /** Place of the rule that allows, from 0. */
  readonly ruleIndex?: number;
  readonly forwardedPath?: string;
}

/** A refresh token to use. */
export interface RefreshTokenRequest {
  /** The session's current one, `cl_rt_…`. */
  readonly refreshToken: string;
  /** New for each attempt, the same for its retries: a retry then gets the answer that was lost, at any later time. */
  readonly attemptId?: string;
  /** Id of the link, or of the API key, that the session belongs to. */
  readonly clientId?: string;
}

/** What to withdraw: one of `token`, `tokenId` and `sessionId`. Role needed: `minter`. */
export interface RevokeTokenRequest {
  /** `projects/{project}`. */
  readonly parent: string;
  /** An access token (that one) or a refresh token (its session), as text. */
  readonly token?: string;
  /** `jti` of an access token. */
  readonly tokenId?: string;
  /** `sid` of a session's access tokens. */
  readonly sessionId?: string;
  /** For people; at most 200 characters. */
  readonly reason?: string;
}

/** The message of a request that may have a lifetime. Throws `TypeError` for one out of shape. */
export function withLifetime({ lifetime, lifetimeSeconds, ...rest }: Lifetime): Record<string, unknown> {
  if (lifetime !== undefined && lifetimeSeconds !== undefined)
    throw new TypeError("give lifetime or lifetimeSeconds, not both");
  const asked = lifetime ?? lifetimeSeconds;
  return { ...rest, ...(asked !== undefined && { lifetime: `${durationSeconds(asked, "lifetime")}s` }) };
}

/** Reads the answer of the methods that give tokens. Proto JSON leaves out empty fields and writes 64-bit numbers as strings. */
export function parseMinted(body: Body): MintedToken {
  if (text(body.accessToken) === "") throw new ControlError("internal", "The control plane's answer holds no token");
  return {
    accessToken: text(body.accessToken),
    tokenType: text(body.tokenType) || "Bearer",
    expiresIn: Number.parseFloat(text(body.expiresIn)) || 0,
    expireTime: text(body.expireTime),
    tokenId: text(body.tokenId),
    ...optional(body, "refreshToken", "session", "scope"),
  };
}

/** Reads the answer of IntrospectToken. */
export function parseIntrospected(body: Body): IntrospectedToken {
  return {
    active: body.active === true,
    links: texts(body.links),
    roles: texts(body.roles),
    ...optional(body, "issuer", "subject", "clientId", "tokenId", "sessionId", "scope", "issueTime", "expireTime"),
    ...(typeof body.claims === "object" && { claims: body.claims as Record<string, unknown> }),
  };
}

/** Reads the answer of VerifyToken. */
export function parseVerdict(body: Body): TokenVerdict {
  return {
    accepted: body.accepted === true,
    judgedStages: texts(body.judgedStages),
    ...optional(body, "stage", "code", "detail", "jwtError", "expected", "seen", "forwardedPath"),
    ...(typeof body.status === "number" && { status: body.status }),
    ...(typeof body.ruleIndex === "number" && { ruleIndex: body.ruleIndex }),
    ...(typeof body.token === "object" && { token: body.token as Record<string, unknown> }),
  };
}

type Body = Readonly<Record<string, unknown>>;

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(text) : [];
}

/** The named texts that are there. */
function optional<Name extends string>(body: Body, ...names: Name[]): { readonly [N in Name]?: string } {
  const there = names.filter((name) => text(body[name]) !== "");
  return Object.fromEntries(there.map((name) => [name, text(body[name])])) as { readonly [N in Name]?: string };
}
