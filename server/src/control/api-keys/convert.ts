import type { ApiKey as ApiKeyMessage } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { apiKeyName } from "../../model/resource-name.ts";
import type { ApiKeyRow } from "../../store/api-keys.ts";
import { apiKeyToProto } from "../../wire/api-key.ts";
import { metaOf } from "../etag.ts";

/** Without the key's text. */
export function apiKeyMessageOf(row: ApiKeyRow): ApiKeyMessage {
  const { project, id, displayName, role, hint, expireTime, tokenLifetimeMaxMs } = row;
  const expireTimeMs = expireTime === null ? undefined : expireTime.getTime();
  const name = apiKeyName(project ?? undefined, id);
  const { allowedAddresses, requestsPerMinute, lastUseTime, previousExpireTime } = row;
  const limits = {
    allowedAddresses,
    ...(requestsPerMinute !== null && { requestsPerMinute }),
    ...(lastUseTime !== null && { lastUseTimeMs: lastUseTime.getTime() }),
    ...(previousExpireTime !== null && { previousExpireTimeMs: previousExpireTime.getTime() }),
    ...(expireTimeMs !== undefined && { expireTimeMs }),
    ...(tokenLifetimeMaxMs !== null && { tokenLifetimeMaxMs }),
  };
  return apiKeyToProto({ name, displayName, role, hint, ...limits }, metaOf(row));
}
