import type { MintTokenRequest, SessionOptions } from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { Principal } from "../../model/api-key.ts";
import { type FieldViolation, invalidFields } from "../../model/errors.ts";
import { REFRESH_KEY_BYTES, writeRefreshToken } from "../../model/refresh-token.ts";
import { idOf } from "../../model/resource-name.ts";
import type { SecretText } from "../../model/secret-text.ts";
import { currentDataKey } from "../../store/data-keys.ts";
import { getProject, type ProjectRow } from "../../store/projects.ts";
import type { NewSessionRow } from "../../store/sessions.ts";
import { msFromDuration } from "../../wire/time.ts";
import type { Deps } from "../deps.ts";
import type { WantedToken } from "../issue-tokens.ts";
import { found } from "../resource-path.ts";
import { contentText, refreshKeyPlace } from "../session-row.ts";

/** A session about to be stored, and its first refresh token. */
export interface OpenedSession {
  readonly row: NewSessionRow;
  readonly refreshToken: SecretText;
}

/**
 * Makes a session for a token that is wanted with one; undefined = it is wanted alone.
 * @throws ConduitError `field_invalid` when it is to live longer than the project's may
 */
export async function openSession(
  { store, keyring, random, clock }: Deps,
  project: string,
  principal: Principal,
  { session }: MintTokenRequest,
  { subject, links, scope, roles, claims, lifetimeMs, field = "" }: WantedToken,
): Promise<OpenedSession | undefined> {
  if (session === undefined) return undefined;
  const id = random.uuid();
  const { dataKey, limits } = await store.read(async (reader) => ({
    limits: found(await getProject(reader, project)),
    dataKey: found(await currentDataKey(reader, project)),
  }));
  const lifetimes = sessionLifetimes(session, limits, `${field}session.`);
  const key = random.bytes(REFRESH_KEY_BYTES);
  const nowMs = clock.now();
  const row: NewSessionRow = {
    ...{ id, project, subject, clientId: idOf(principal.apiKey), links, scope, deviceLabel: session.deviceLabel },
    content: contentText({ roles, claims }),
    accessLifetimeMs: lifetimeMs ?? null,
    accessLifetimeMaxMs: principal.tokenLifetimeMaxMs ?? null,
    sealedRefreshKey: keyring.seal(dataKey, key, refreshKeyPlace(project, id)),
    idleLifetimeMs: lifetimes.idleMs,
    absoluteExpireTime: new Date(nowMs + lifetimes.absoluteMs),
    createTime: new Date(nowMs),
  };
  const refreshToken = writeRefreshToken(key, id, 0);
  key.fill(0);
  return { row, refreshToken };
}

/** How long a session may live: what is asked for, or the project's, which is also the most. */
function sessionLifetimes(
  { idleLifetime, absoluteLifetime }: SessionOptions,
  { sessionIdleLifetimeMs, sessionAbsoluteLifetimeMs }: ProjectRow,
  field: string,
): { readonly idleMs: number; readonly absoluteMs: number } {
  const idleMs = msFromDuration(idleLifetime) ?? sessionIdleLifetimeMs;
  const absoluteMs = msFromDuration(absoluteLifetime) ?? sessionAbsoluteLifetimeMs;
  const violations = [
    ...tooLong(`${field}idle_lifetime`, idleMs, sessionIdleLifetimeMs),
    ...tooLong(`${field}absolute_lifetime`, absoluteMs, sessionAbsoluteLifetimeMs),
  ];
  if (violations.length > 0) throw invalidFields(violations);
  return { idleMs, absoluteMs };
}

const tooLong = (field: string, wantedMs: number, maxMs: number): FieldViolation[] =>
  wantedMs <= maxMs ? [] : [{ field, description: `may be at most ${maxMs / 1000} s for this project` }];
