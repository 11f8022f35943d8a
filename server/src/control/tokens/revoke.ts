import type { RevokeTokenRequest } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { isSignedWith, readRefreshToken } from "../../model/refresh-token.ts";
import { revocationName, sessionName } from "../../model/resource-name.ts";
import type { RevocationTarget } from "../../model/revocation.ts";
import { CLOCKS_MARGIN_MS } from "../../model/token-lifetime.ts";
import type { Reader, Tx } from "../../store/database.ts";
import { lockSession, type SessionRow } from "../../store/sessions.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { verifyBuiltInToken } from "../built-in-tokens.ts";
import type { Deps } from "../deps.ts";
import { headSequence } from "../log-head.ts";
import { requireProject } from "../require-project.ts";
import { readProjectName } from "../resource-path.ts";
import { defaultExpiryMs, writeRevocation } from "../revocation-write.ts";
import { endWithTokens } from "../session-end.ts";
import { openRefreshKey } from "../session-row.ts";

/** What to withdraw; `expireTimeMs` undefined = when the last token of the kind has expired. */
interface Withdrawal {
  readonly target: RevocationTarget;
  readonly expireTimeMs?: number;
}

/** Withdraws what the request names. Nothing that counts any more = nothing to do, and no error (RFC 7009 2.2). */
export async function revokeToken(
  deps: Deps,
  request: RevokeTokenRequest,
  context: AuditedCall,
): Promise<{ configSequence: bigint }> {
  const project = readProjectName(request.parent, "parent");
  const session = sessionIdOf(request);
  if (session !== undefined) return revokeSession(deps, { project, session, request }, context);
  const withdrawal = await withdrawalOf(deps, project, request);
  if (withdrawal === undefined) return { configSequence: await deps.store.read(headOf(project)) };
  const { target } = withdrawal;
  const nowMs = deps.clock.now();
  const id = deps.random.uuid();
  const event = auditOf(context, revocationName(project, id), nowMs, { target: target.kind, reason: request.reason });
  const expireTimeMs =
    withdrawal.expireTimeMs ?? (await deps.store.read((reader) => defaultExpiryMs(reader, project, target, nowMs)));
  const revocation = { project, id, target, expireTimeMs, reason: request.reason };
  const { sequence } = await deps.revocationLedger.write({ revocation, event });
  return { configSequence: sequence };
}

/** The session that a refresh token says it is of, or that is named; undefined = something else is to be withdrawn. */
function sessionIdOf({ target }: RevokeTokenRequest): string | undefined {
  if (target.case === "token") return readRefreshToken(target.value)?.session;
  return target.case === "sessionId" && UUID.test(target.value) ? target.value : undefined;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface SessionRevocation {
  readonly project: string;
  readonly session: string;
  readonly request: RevokeTokenRequest;
}

/** Ends a session with its tokens. A named one that is not ours may be another issuer's: its `sid` is withdrawn all the same. */
async function revokeSession(
  deps: Deps,
  { project, session: id, request }: SessionRevocation,
  context: AuditedCall,
): Promise<{ configSequence: bigint }> {
  const { reason, target } = request;
  const nowMs = deps.clock.now();
  const event = auditOf(context, sessionName(project, id), nowMs, { reason });
  const { sequence } = await commitChanges(deps.store, event, async (tx) => {
    await requireProject(tx, project);
    const row = await lockSession(tx, id);
    const isOurs = row?.project === project && (await isHeldBy(tx, deps, row, target.value ?? ""));
    if (row !== undefined && isOurs) {
      const changes = await endWithTokens(tx, deps.random, row, reason, nowMs);
      return { result: undefined, changes, isRepetition: changes.length === 0 };
    }
    if (target.case === "token") return { result: undefined, changes: [], isRepetition: true };
    const named = { kind: "session", project, id } as const;
    const expireTimeMs = await defaultExpiryMs(tx, project, named, nowMs);
    const revocation = { project, id: deps.random.uuid(), target: named, expireTimeMs, reason };
    const { change } = await writeRevocation(tx, revocation, nowMs);
    return { result: undefined, changes: [change] };
  });
  return { configSequence: sequence };
}

/** Whether a refresh token's MAC is right: who only knows a session's id must not end it by a token made up around it. */
async function isHeldBy(tx: Tx, deps: Deps, row: SessionRow, text: string): Promise<boolean> {
  const presented = readRefreshToken(text);
  return presented === undefined || isSignedWith(await openRefreshKey((read) => read(tx), deps, row), presented);
}

async function withdrawalOf(
  deps: Deps,
  project: string,
  { target }: RevokeTokenRequest,
): Promise<Withdrawal | undefined> {
  if (target.case === "tokenId") return { target: { kind: "token", project, id: target.value } };
  if (target.case === "sessionId") return { target: { kind: "session", project, id: target.value } };
  const verified = await verifyBuiltInToken(deps, project, target.value ?? "");
  const jti = verified?.claims.jti;
  if (verified === undefined || typeof jti !== "string") return undefined;
  return { target: { kind: "token", project, id: jti }, expireTimeMs: verified.validity.untilMs + CLOCKS_MARGIN_MS };
}

const headOf = (project: string) => async (reader: Reader) => {
  await requireProject(reader, project);
  return headSequence(reader);
};
