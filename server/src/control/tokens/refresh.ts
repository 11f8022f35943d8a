import { create } from "@bufbuild/protobuf";
import {
  type RefreshTokenRequest,
  type RefreshTokenResponse,
  RefreshTokenResponseSchema,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import { appendChanges } from "../../config-log/append.ts";
import type { AuditEvent } from "../../model/audit-event.ts";
import { ConduitError, invalidFields } from "../../model/errors.ts";
import { isSignedWith, type RefreshToken, readRefreshToken, writeRefreshToken } from "../../model/refresh-token.ts";
import { idOf, sessionName } from "../../model/resource-name.ts";
import type { SecretText } from "../../model/secret-text.ts";
import { wordsOf } from "../../policy/claims.ts";
import { judgeRefresh, type RefreshVerdict } from "../../policy/refresh.ts";
import { narrowScope } from "../../policy/scope.ts";
import { recordAudit } from "../../store/audit.ts";
import type { Tx } from "../../store/database.ts";
import { lockSession, noteReplay, rotateSession, type SessionRow } from "../../store/sessions.ts";
import { timestampFromMs } from "../../wire/time.ts";
import { auditBy } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { type IssuingCall, signForSession } from "../issue-tokens.ts";
import { endWithTokens, REUSE_REASON } from "../session-end.ts";
import { isSessionOpen, openRefreshKey } from "../session-row.ts";

/** What the transaction has done. A refusal is a value: thrown inside, it would take the session's end back. */
type Step =
  | { readonly done: "refused" | "ended" | "too_wide" }
  | {
      readonly done: "refreshed";
      readonly session: SessionRow;
      /** Of the access token. */
      readonly scope: string;
      readonly refreshToken: SecretText;
    };

const REFUSED: Step = { done: "refused" };

/**
 * The next access and refresh token of a session (design.md 6).
 * @throws ConduitError `refresh_token_invalid`, for every reason the same; a reuse has ended the session before it throws;
 * `field_invalid` for a scope that the session does not have
 */
export async function refreshToken(issuing: IssuingCall, request: RefreshTokenRequest): Promise<RefreshTokenResponse> {
  const { deps } = issuing;
  const presented = readRefreshToken(request.refreshToken);
  if (presented === undefined) throw new ConduitError("refresh_token_invalid");
  const tokenId = deps.random.uuid();
  const step =
    (await rotateAtOnce(issuing, presented, request, tokenId)) ??
    (await deps.store.transaction((tx) => refresh(tx, issuing, presented, request, tokenId)));
  if (step.done === "too_wide") throw invalidFields([{ field: "scope", description: "has more than the session's" }]);
  // After the commit: whoever is told that the session has ended can rely on it.
  if (step.done !== "refreshed") throw new ConduitError("refresh_token_invalid");
  const { session, scope, refreshToken: next } = step;
  const issued = await signForSession(
    issuing,
    { ...session, scope },
    { tokenId, clientId: request.clientId || session.clientId },
  );
  return create(RefreshTokenResponseSchema, {
    accessToken: issued.accessToken,
    tokenType: "Bearer",
    expiresIn: BigInt(issued.lifetimeMs / 1000),
    ...expireTimeOf(issued.expireTimeMs),
    tokenId,
    refreshToken: next.reveal(),
    session: sessionName(session.project, session.id),
    scope,
  });
}

/**
 * The ordinary case, without a transaction that holds a lock: the current token of an open session, nobody else at it; and
 * forgeries, of which anybody can send any number. Undefined = anything else, and nothing was done: `refresh` is to judge
 * it under the lock.
 */
async function rotateAtOnce(
  { deps, call }: IssuingCall,
  presented: RefreshToken,
  { attemptId, clientId, scope: wantedScope }: RefreshTokenRequest,
  tokenId: string,
): Promise<Step | undefined> {
  const session = await deps.readSession(presented.session);
  const nowMs = deps.clock.now();
  // Neither can change: a session is there before its first token is given out, and its key stays.
  if (session === undefined) return REFUSED;
  const key = await openRefreshKey(deps.store.read, deps, session);
  if (!isSignedWith(key, presented)) return REFUSED;
  if (!isSessionOpen(session, nowMs) || !isClientOf(session, clientId)) return undefined;
  const verdict = judgeRefresh(stateOf(session), { counter: presented.counter, attemptId }, nowMs);
  const scope = narrowScope(wordsOf(session.scope), wantedScope);
  if (verdict !== "rotate" || scope === undefined) return undefined;
  const event = auditBy(nameOf(session), call, nameOf(session), nowMs, detailsOf(session, verdict, tokenId));
  if (!(await deps.auditLedger.rotate({ session, attemptId, event }))) return undefined;
  return { done: "refreshed", session, scope, refreshToken: writeRefreshToken(key, session.id, session.counter + 1) };
}

async function refresh(
  tx: Tx,
  { deps, call }: IssuingCall,
  presented: RefreshToken,
  { attemptId, clientId, scope: wantedScope }: RefreshTokenRequest,
  tokenId: string,
): Promise<Step> {
  const session = await lockSession(tx, presented.session);
  // Read after the lock was given: the wait for it may have been long.
  const nowMs = deps.clock.now();
  if (session === undefined || !isSessionOpen(session, nowMs)) return REFUSED;
  const key = await openRefreshKey((read) => read(tx), deps, session);
  if (!isSignedWith(key, presented) || !isClientOf(session, clientId)) return REFUSED;
  const { counter } = presented;
  const verdict = judgeRefresh(stateOf(session), { counter, attemptId }, nowMs);
  if (verdict === "unknown") return REFUSED;
  const event = auditBy(nameOf(session), call, nameOf(session), nowMs, detailsOf(session, verdict, tokenId));
  if (verdict === "reuse") return end(tx, deps, session, event);
  // Before the refresh token is used up: the app can ask again for less.
  const scope = narrowScope(wordsOf(session.scope), wantedScope);
  if (scope === undefined) return { done: "too_wide" };
  const note =
    verdict === "rotate"
      ? rotateSession(tx, session.id, attemptId, new Date(nowMs))
      : noteReplay(tx, session.id, new Date(nowMs));
  // Sent together: the connection does them in this order, in one round trip.
  await Promise.all([note, recordAudit(tx, event)]);
  const next = verdict === "rotate" ? session.counter + 1 : session.counter;
  return { done: "refreshed", session, scope, refreshToken: writeRefreshToken(key, session.id, next) };
}

async function end(tx: Tx, { random }: Deps, session: SessionRow, event: AuditEvent): Promise<Step> {
  const changes = await endWithTokens(tx, random, session, REUSE_REASON, event.timeMs);
  await recordAudit(tx, event);
  await appendChanges(tx, changes);
  return { done: "ended" };
}

/** A token that was stolen from one client is of no use to another that says who it is. */
const isClientOf = (session: SessionRow, clientId: string): boolean =>
  clientId === "" || clientId === session.clientId || session.links.some((link) => idOf(link) === clientId);

const stateOf = ({ counter, rotateTime, attemptId }: SessionRow) => ({
  counter,
  rotateTimeMs: rotateTime?.getTime(),
  attemptId,
});

const nameOf = ({ project, id }: SessionRow): string => sessionName(project, id);

const detailsOf = ({ subject }: SessionRow, verdict: RefreshVerdict, tokenId: string): AuditEvent["details"] =>
  verdict === "reuse" ? { subject, outcome: REUSE_REASON } : { subject, outcome: verdict, token_id: tokenId };

function expireTimeOf(ms: number) {
  const expireTime = timestampFromMs(ms);
  return expireTime === undefined ? {} : { expireTime };
}
