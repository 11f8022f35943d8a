import type { MintTokenRequest } from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { Principal } from "../../model/api-key.ts";
import { REFRESH_KEY_BYTES, writeRefreshToken } from "../../model/refresh-token.ts";
import { idOf } from "../../model/resource-name.ts";
import type { SecretText } from "../../model/secret-text.ts";
import { SESSION_ABSOLUTE_MS, SESSION_IDLE_MS } from "../../model/session.ts";
import { currentDataKey } from "../../store/data-keys.ts";
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

/** Makes a session for a token that is wanted with one; undefined = it is wanted alone. */
export async function openSession(
  { store, keyring, random, clock }: Deps,
  project: string,
  principal: Principal,
  { session }: MintTokenRequest,
  { subject, links, scope, roles, claims, lifetimeMs }: WantedToken,
): Promise<OpenedSession | undefined> {
  if (session === undefined) return undefined;
  const id = random.uuid();
  const dataKey = found(await store.read((reader) => currentDataKey(reader, project)));
  const key = random.bytes(REFRESH_KEY_BYTES);
  const nowMs = clock.now();
  const row: NewSessionRow = {
    ...{ id, project, subject, clientId: idOf(principal.apiKey), links, scope, deviceLabel: session.deviceLabel },
    content: contentText({ roles, claims }),
    accessLifetimeMs: lifetimeMs ?? null,
    accessLifetimeMaxMs: principal.tokenLifetimeMaxMs ?? null,
    sealedRefreshKey: keyring.seal(dataKey, key, refreshKeyPlace(project, id)),
    idleLifetimeMs: msFromDuration(session.idleLifetime) ?? SESSION_IDLE_MS,
    absoluteExpireTime: new Date(nowMs + (msFromDuration(session.absoluteLifetime) ?? SESSION_ABSOLUTE_MS)),
    createTime: new Date(nowMs),
  };
  const refreshToken = writeRefreshToken(key, id, 0);
  key.fill(0);
  return { row, refreshToken };
}
