import type { CompactSigner } from "../jwt/compact-sign.ts";
import { mintAccessToken } from "../jwt/mint.ts";
import type { AuditEvent } from "../model/audit-event.ts";
import type { Claims } from "../model/claims.ts";
import { type FieldViolation, invalidFields } from "../model/errors.ts";
import { idOf, projectName, projectOf } from "../model/resource-name.ts";
import { COOKIE_MAX_BYTES } from "../model/token-lifetime.ts";
import type { TokenSource } from "../model/token-source.ts";
import { recordAudit } from "../store/audit.ts";
import type { Tx } from "../store/database.ts";
import type { LinkRow } from "../store/links.ts";
import type { SessionRow } from "../store/sessions.ts";
import { type AuditedCall, auditOf } from "./audit-of.ts";
import { principalOf } from "./call.ts";
import type { Deps } from "./deps.ts";
import { datingKeys, issueTimeMs } from "./issue-time.ts";
import type { FactsWanted, IssuingFacts } from "./issuing-facts.ts";
import { callerStands, confirmCaller, rowsOfCaller } from "./recalled-caller.ts";
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
  issuing: IssuingCall,
  project: string,
  wanted: readonly WantedToken[],
  alongside?: (tx: Tx) => Promise<void>,
): Promise<IssuedToken[]> {
  const targetKeys = datingKeys(project, wanted);
  const asked = { project, linkIds: wanted.flatMap((token) => token.links.map(idOf)), targetKeys };
  if (alongside === undefined) {
    const issued = await issueFromMemory(issuing, asked, wanted);
    if (issued !== undefined) return issued;
  }
  await confirmCaller(issuing.call);
  const { issued, events } = await signAll(issuing, asked, await issuing.deps.issuingFacts.read(asked), wanted);
  if (alongside === undefined) await issuing.deps.auditLedger.write(events);
  else
    await issuing.deps.store.transaction(async (tx) => {
      await alongside(tx);
      await recordAudit(tx, ...events);
    });
  return issued;
}

/**
 * The ordinary case, in one round trip: signs by what was read before, and writes the record if that is still so, as the
 * database sees it after this call began. Undefined = it is not, or refuses the tokens: read it, and judge again.
 */
async function issueFromMemory(
  issuing: IssuingCall,
  asked: FactsWanted,
  wanted: readonly WantedToken[],
): Promise<IssuedToken[] | undefined> {
  const { issuingFacts, auditLedger } = issuing.deps;
  const facts = issuingFacts.recall(asked);
  if (facts === undefined) return undefined;
  // What is refused must be refused by what is true now.
  const signed = await signAll(issuing, asked, facts, wanted).catch(() => undefined);
  if (signed === undefined) return undefined;
  const { issued, events, issuedAtMs } = signed;
  const rows = [...facts.rows, ...rowsOfCaller(issuing.call)];
  const standing = { rows, targetKeys: asked.targetKeys, issuedAtMs: wholeSeconds(issuedAtMs) };
  if (!(await auditLedger.writeIfStanding({ events, ...standing }))) return undefined;
  callerStands(issuing.call);
  return issued;
}

/** Tokens and their records; nothing is written yet. */
async function signAll(
  { deps, signers, call }: IssuingCall,
  { project, targetKeys }: FactsWanted,
  facts: IssuingFacts,
  wanted: readonly WantedToken[],
): Promise<{ issued: IssuedToken[]; events: AuditEvent[]; issuedAtMs: number }> {
  const row = found(facts.projects.get(project));
  const links = requireLinks(facts, project, wanted);
  const issuedAtMs = issueTimeMs(targetKeys, facts.issuedBefore, deps.clock.now());
  const { apiKey, tokenLifetimeMaxMs } = principalOf(call);
  const rules = { project: row, apiKeyMaxMs: tokenLifetimeMaxMs };
  const key = await signers.signerOf(facts.signingKeys.get(project));
  const shared = { issuer: row.issuer, clientId: idOf(apiKey), issuedAtMs, rules };
  const said = wanted.map((token) => ({ ...token, ...withTokenClaims(token, links, "refuse") }));
  const issued = said.map((token) => sign(key, { ...shared, tokenId: deps.random.uuid() }, token));
  for (const [index, token] of wanted.entries()) requireSendable(issued[index]?.accessToken ?? "", token, links);
  const events = issued.map(({ tokenId }, index) => {
    const { subject = "", links: names = [] } = wanted[index] ?? {};
    const details = { subject, token_id: tokenId, links: names.join(" ") };
    return auditOf(call, projectName(project), deps.clock.now(), details);
  });
  return { issued, events, issuedAtMs };
}

/** The next access token of a session, whose refresh the audit trail tells of already. */
export async function signForSession(
  { deps, signers }: Pick<IssuingCall, "deps" | "signers">,
  session: SessionRow,
  { tokenId, clientId }: { readonly tokenId: string; readonly clientId: string },
): Promise<IssuedToken> {
  const { id, project, subject, links, scope, accessLifetimeMs, accessLifetimeMaxMs } = session;
  const targetKeys = datingKeys(project, [session]);
  const facts = await deps.issuingFacts.read({ project, linkIds: links.map(idOf), targetKeys });
  const row = found(facts.projects.get(project));
  const issuedAtMs = issueTimeMs(targetKeys, facts.issuedBefore, deps.clock.now());
  const rules = { project: row, apiKeyMaxMs: accessLifetimeMaxMs ?? undefined };
  // The project's cap may have been lowered since: a refresh is not refused for it.
  const lifetimeMs = accessLifetimeMs === null ? undefined : Math.min(accessLifetimeMs, row.accessTokenLifetimeMaxMs);
  const key = await signers.signerOf(facts.signingKeys.get(project));
  const context = { issuer: row.issuer, clientId, issuedAtMs, tokenId, rules };
  const wanted = { subject, links, scope, session: id, lifetimeMs, ...contentOf(session) };
  // A refresh is not refused for what has become of the links since.
  const said = withTokenClaims(wanted, linksOf(facts, project, links), "first");
  return sign(key, context, { ...wanted, ...said });
}

/** As tokens say times. */
const wholeSeconds = (ms: number): number => Math.floor(ms / 1000) * 1000;

interface SigningContext {
  readonly issuer: string;
  readonly clientId: string;
  readonly issuedAtMs: number;
  readonly tokenId: string;
  readonly rules: LifetimeRules;
}

function sign(key: CompactSigner, context: SigningContext, wanted: WantedToken): IssuedToken {
  const { rules, tokenId, ...signed } = context;
  const { links: audiences, lifetimeMs: wantedMs, endsByMs, field = "", ...content } = wanted;
  const issuedAtMs = wholeSeconds(context.issuedAtMs);
  const endsInMs = endsByMs === undefined ? Number.POSITIVE_INFINITY : endsByMs - issuedAtMs;
  const lifetimeMs = Math.min(lifetimeMsOf(wantedMs, rules, `${field}lifetime`), endsInMs);
  const minted = mintAccessToken(key, { ...signed, ...content, tokenId, audiences, lifetimeMs });
  const { token: accessToken, expireTimeMs } = minted;
  return { accessToken, tokenId, lifetimeMs: expireTimeMs - issuedAtMs, expireTimeMs };
}

/**
 * The links that are wanted, by name. Throws `field_invalid` naming each that is not one of the project: a token for it
 * would be good for nothing.
 */
function requireLinks(facts: IssuingFacts, project: string, wanted: readonly WantedToken[]): Links {
  const known = new Map<string, LinkRow>();
  const violations: FieldViolation[] = [];
  for (const { links, field = "" } of wanted) {
    for (const [index, name] of links.entries()) {
      const row = facts.links.get(idOf(name));
      if (row !== undefined && row.project === project && projectOf(name) === project) known.set(name, row);
      else violations.push({ field: `${field}links[${index}]`, description: "names no link of the project" });
    }
  }
  if (violations.length > 0) throw invalidFields(violations);
  return known;
}

/** Those of the project that are still there, by name. */
const linksOf = (facts: IssuingFacts, project: string, names: readonly string[]): Links =>
  new Map(
    names.flatMap((name) => {
      const row = facts.links.get(idOf(name));
      return row?.project === project ? [[name, row] as const] : [];
    }),
  );

type Links = ReadonlyMap<string, LinkRow>;

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
