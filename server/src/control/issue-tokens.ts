import { mintAccessToken } from "../jwt/mint.ts";
import type { Claims } from "../model/claims.ts";
import { type FieldViolation, invalidFields } from "../model/errors.ts";
import { idOf, projectName, projectOf } from "../model/resource-name.ts";
import { recordAudit } from "../store/audit.ts";
import type { Reader } from "../store/database.ts";
import { getLink } from "../store/links.ts";
import { getProject } from "../store/projects.ts";
import { type AuditedCall, auditOf } from "./audit-of.ts";
import { principalOf } from "./call.ts";
import type { Deps } from "./deps.ts";
import { found } from "./resource-path.ts";
import type { Signers } from "./signing-keys.ts";

/** Of a token that nobody says it of (contract.md 8). The most is the proto's to check. */
export const LIFETIME_DEFAULT_MS = 15 * 60 * 1000;
/** Of the whole token: servers commonly take 8 KiB of header, and a token is one line of it. */
const TOKEN_MAX_BYTES = 8 * 1024;

/** An access token that is wanted. */
export interface WantedToken {
  readonly subject: string;
  /** Resource names: its audience. */
  readonly links: readonly string[];
  /** Undefined = the default. */
  readonly lifetimeMs: number | undefined;
  /** Space separated; "" = none. */
  readonly scope: string;
  readonly roles: readonly string[];
  /** Checked before: none of `RESERVED_CLAIMS`. */
  readonly claims: Claims;
  /** `sid`; default: it belongs to none. */
  readonly session?: string;
  /** `act` (RFC 8693 4.1): who acts for the subject. */
  readonly actor?: Claims;
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
 * @throws ConduitError `field_invalid` naming links that are not the project's, and tokens too long for a header
 */
export async function issueTokens(
  { deps, signers, call }: IssuingCall,
  project: string,
  wanted: readonly WantedToken[],
): Promise<IssuedToken[]> {
  const issuer = await deps.store.read(async (reader) => {
    const row = found(await getProject(reader, project));
    await requireLinks(reader, project, wanted);
    return row.issuer;
  });
  const key = await signers.activeKey(project);
  const shared = { issuer, clientId: idOf(principalOf(call).apiKey), issuedAtMs: deps.clock.now() };
  const issued = await Promise.all(wanted.map((token) => sign(key, { ...shared, tokenId: deps.random.uuid() }, token)));
  const events = issued.map(({ tokenId }, index) => {
    const { subject = "", links = [] } = wanted[index] ?? {};
    return auditOf(call, projectName(project), shared.issuedAtMs, {
      subject,
      token_id: tokenId,
      links: links.join(" "),
    });
  });
  await deps.store.transaction((tx) => recordAudit(tx, ...events));
  return issued;
}

type SigningContext = Pick<Parameters<typeof mintAccessToken>[1], "issuer" | "clientId" | "issuedAtMs" | "tokenId">;

async function sign(
  key: Parameters<typeof mintAccessToken>[0],
  context: SigningContext,
  { links, lifetimeMs = LIFETIME_DEFAULT_MS, field = "", ...content }: WantedToken,
): Promise<IssuedToken> {
  const minted = await mintAccessToken(key, { ...context, ...content, audiences: links, lifetimeMs });
  requireSendable(minted.token, field);
  const { token: accessToken, expireTimeMs } = minted;
  // As the token says it: whole seconds.
  const issuedAtMs = Math.floor(context.issuedAtMs / 1000) * 1000;
  return { accessToken, tokenId: context.tokenId, lifetimeMs: expireTimeMs - issuedAtMs, expireTimeMs };
}

/** Throws `field_invalid` naming each link that is not one of the project: a token for it would be good for nothing. */
async function requireLinks(reader: Reader, project: string, wanted: readonly WantedToken[]): Promise<void> {
  const violations: FieldViolation[] = [];
  const known = new Map<string, boolean>();
  for (const { links, field = "" } of wanted) {
    for (const [index, name] of links.entries()) {
      const isKnown =
        known.get(name) ?? (projectOf(name) === project && (await getLink(reader, project, idOf(name))) !== undefined);
      known.set(name, isKnown);
      if (!isKnown) violations.push({ field: `${field}links[${index}]`, description: "names no link of the project" });
    }
  }
  if (violations.length > 0) throw invalidFields(violations);
}

/** Throws `field_invalid`: what it carries is too much for a header. */
function requireSendable(token: string, field: string): void {
  if (token.length <= TOKEN_MAX_BYTES) return;
  const description = `the token would be ${token.length} bytes long and servers take ${TOKEN_MAX_BYTES} in a header: leave claims out`;
  throw invalidFields([{ field: `${field}claims`, description }]);
}
