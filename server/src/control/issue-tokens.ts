import { mintAccessToken } from "../jwt/mint.ts";
import type { SigningKey } from "../jwt/signing-key.ts";
import type { Claims } from "../model/claims.ts";
import { type FieldViolation, invalidFields } from "../model/errors.ts";
import { idOf, projectName, projectOf } from "../model/resource-name.ts";
import { COOKIE_MAX_BYTES } from "../model/token-lifetime.ts";
import type { TokenSource } from "../model/token-source.ts";
import { recordAudit } from "../store/audit.ts";
import type { Reader, Tx } from "../store/database.ts";
import { getLink, type LinkRow } from "../store/links.ts";
import { getProject } from "../store/projects.ts";
import type { SessionRow } from "../store/sessions.ts";
import { type AuditedCall, auditOf } from "./audit-of.ts";
import { principalOf } from "./call.ts";
import type { Deps } from "./deps.ts";
import { issueTimeMs } from "./issue-time.ts";
import { found } from "./resource-path.ts";
import { contentOf } from "./session-row.ts";
import type { Signers } from "./signing-keys.ts";
import { withTokenClaims } from "./token-claims.ts";
import { type LifetimeRules, lifetimeMsOf } from "./token-lifetime.ts";

/** Servers commonly take 8 KiB of header lines. */
const HEADER_MAX_BYTES = 8 * 1024;

/** An access token that is wanted. */
export interface WantedToken {
  readonly subject: string;
  /** Resource names: its audience. */
  readonly links: readonly string[];
  /** Undefined = the project's default. */
  readonly lifetimeMs: number | undefined;
  /** It ends then at the latest, milliseconds since the epoch; default: its lifetime alone counts. */
  readonly endsByMs?: number;
  /** Space separated; "" = none. */
  readonly scope: string;
  readonly roles: readonly string[];
  /** Checked before: none of `RESERVED_CLAIMS`. Those of the links' templates are added when it is issued. */
  readonly claims: Claims;
  /** What the templates read; default: what is asked for. */
  readonly templateSource?: Claims;
  /** `sid`; default: it belongs to none. */
  readonly session?: string;
  /** `act` (RFC 8693 4.1): who acts for the subject. */
  readonly actor?: Claims;
  /** Which token it is exchanged for: what withdraws that one withdraws it too. */
  readonly source?: TokenSource;
  /** Path of the request that wants it among several, as `requests[3].`; default "". */
  readonly field?: string;
}

/** An access token as it was issued. */
export interface IssuedToken {
  readonly accessToken: string;
  readonly tokenId: string;
  readonly lifetimeMs: number;
  readonly expireTimeMs: number;
}

/** What issuing takes besides what is wanted. */
export interface IssuingCall {
  readonly deps: Deps;
  readonly signers: Signers;
  readonly call: AuditedCall;
}

/**
 * The one way access tokens are made for callers: all of them are signed and written into the audit trail, or none is.
 * @param alongside what else is written if and only if the tokens are
 * @throws ConduitError `field_invalid` naming links that are not the project's, and tokens too long for a header or cookie
 */
export async function issueTokens(
  { deps, signers, call }: IssuingCall,
  project: string,
  wanted: readonly WantedToken[],
  alongside?: (tx: Tx) => Promise<void>,
): Promise<IssuedToken[]> {
  const { row, links, issuedAtMs } = await deps.store.read(async (reader) => ({
    row: found(await getProject(reader, project)),
    links: await readLinks(reader, project, wanted),
    issuedAtMs: await issueTimeMs(reader, project, wanted, deps.clock.now()),
  }));
  const { apiKey, tokenLifetimeMaxMs } = principalOf(call);
  const rules = { project: row, apiKeyMaxMs: tokenLifetimeMaxMs };
  const key = await signers.activeKey(project);
  const shared = { issuer: row.issuer, clientId: idOf(apiKey), issuedAtMs, rules };
  const said = wanted.map((token) => ({ ...token, ...withTokenClaims(token, links, "refuse") }));
  const issued = await Promise.all(said.map((token) => sign(key, { ...shared, tokenId: deps.random.uuid() }, token)));
  for (const [index, token] of wanted.entries()) requireSendable(issued[index]?.accessToken ?? "", token, links);
  const events = issued.map(({ tokenId }, index) => {
    const { subject = "", links: names = [] } = wanted[index] ?? {};
    const details = { subject, token_id: tokenId, links: names.join(" ") };
    return auditOf(call, projectName(project), deps.clock.now(), details);
  });
  if (alongside === undefined) await deps.auditLedger.write(events);
  else
    await deps.store.transaction(async (tx) => {
      await alongside(tx);
      await recordAudit(tx, ...events);
    });
  return issued;
}

/** The next access token of a session, whose refresh the audit trail tells of already. */
export async function signForSession(
  { deps, signers }: Pick<IssuingCall, "deps" | "signers">,
  session: SessionRow,
  { tokenId, clientId }: { readonly tokenId: string; readonly clientId: string },
): Promise<IssuedToken> {
  const { id, project, subject, links, scope, accessLifetimeMs, accessLifetimeMaxMs } = session;
  const { row, present, issuedAtMs } = await deps.store.read(async (reader) => ({
    row: found(await getProject(reader, project)),
    present: await presentLinks(reader, project, links),
    issuedAtMs: await issueTimeMs(reader, project, [session], deps.clock.now()),
  }));
  const rules = { project: row, apiKeyMaxMs: accessLifetimeMaxMs ?? undefined };
  // The project's cap may have been lowered since: a refresh is not refused for it.
  const lifetimeMs = accessLifetimeMs === null ? undefined : Math.min(accessLifetimeMs, row.accessTokenLifetimeMaxMs);
  const key = await signers.activeKey(project);
  const context = { issuer: row.issuer, clientId, issuedAtMs, tokenId, rules };
  const wanted = { subject, links, scope, session: id, lifetimeMs, ...contentOf(session) };
  // A refresh is not refused for what has become of the links since.
  return sign(key, context, { ...wanted, ...withTokenClaims(wanted, present, "first") });
}

interface SigningContext {
  readonly issuer: string;
  readonly clientId: string;
  readonly issuedAtMs: number;
  readonly tokenId: string;
  readonly rules: LifetimeRules;
}

async function sign(key: SigningKey, context: SigningContext, wanted: WantedToken): Promise<IssuedToken> {
  const { rules, tokenId, ...signed } = context;
  const { links: audiences, lifetimeMs: wantedMs, endsByMs, field = "", ...content } = wanted;
  // As the token says them: whole seconds.
  const issuedAtMs = Math.floor(context.issuedAtMs / 1000) * 1000;
  const endsInMs = endsByMs === undefined ? Number.POSITIVE_INFINITY : endsByMs - issuedAtMs;
  const lifetimeMs = Math.min(lifetimeMsOf(wantedMs, rules, `${field}lifetime`), endsInMs);
  const minted = await mintAccessToken(key, { ...signed, ...content, tokenId, audiences, lifetimeMs });
  const { token: accessToken, expireTimeMs } = minted;
  return { accessToken, tokenId, lifetimeMs: expireTimeMs - issuedAtMs, expireTimeMs };
}

/**
 * The links that are wanted, by name. Throws `field_invalid` naming each that is not one of the project: a token for it
 * would be good for nothing.
 */
async function readLinks(reader: Reader, project: string, wanted: readonly WantedToken[]): Promise<Links> {
  const known = new Map<string, LinkRow | undefined>();
  const violations: FieldViolation[] = [];
  for (const { links, field = "" } of wanted) {
    for (const [index, name] of links.entries()) {
      if (!known.has(name))
        known.set(name, projectOf(name) === project ? await getLink(reader, project, idOf(name)) : undefined);
      if (known.get(name) === undefined)
        violations.push({ field: `${field}links[${index}]`, description: "names no link of the project" });
    }
  }
  if (violations.length > 0) throw invalidFields(violations);
  return known;
}

/** Those that are still there, by name. */
async function presentLinks(reader: Reader, project: string, names: readonly string[]): Promise<Links> {
  const present = new Map<string, LinkRow | undefined>();
  for (const name of names) present.set(name, await getLink(reader, project, idOf(name)));
  return present;
}

type Links = ReadonlyMap<string, LinkRow | undefined>;

const HEADER = "Authorization: Bearer ";

/** Throws `field_invalid` with size and limit: the token would get lost on its way, in a header or in a link's cookie. */
function requireSendable(token: string, wanted: WantedToken, links: Links): void {
  const field = `${wanted.field ?? ""}claims`;
  const refuse = (what: string, bytes: number, max: number) =>
    invalidFields([{ field, description: `${what} would be ${bytes} bytes long and may be ${max}: leave claims out` }]);
  const headerBytes = HEADER.length + token.length;
  if (headerBytes > HEADER_MAX_BYTES) throw refuse("the token's header line", headerBytes, HEADER_MAX_BYTES);
  for (const name of wanted.links) {
    const cookie = links.get(name)?.spec.userTokenCookie;
    const cookieBytes = cookie === undefined ? 0 : `${cookie}=${token}`.length;
    if (cookieBytes > COOKIE_MAX_BYTES) throw refuse(`the cookie for ${name}`, cookieBytes, COOKIE_MAX_BYTES);
  }
}
