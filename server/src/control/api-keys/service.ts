import {
  type ApiKey as ApiKeyMessage,
  ApiKeySchema,
  type ApiKeyService,
  ListApiKeysRequestSchema,
  type UpdateApiKeyRequest,
} from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges } from "../../config-log/commit.ts";
import { invalidFields } from "../../model/errors.ts";
import {
  type ApiKeyRow,
  deleteApiKey,
  getApiKey,
  listApiKeys,
  lockApiKey,
  updateApiKey as updateRow,
} from "../../store/api-keys.ts";
import { msFromDuration, msFromTimestamp } from "../../wire/time.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { expiryViolations } from "../expiry.ts";
import { applyMask, OUTPUT_ONLY } from "../field-mask.ts";
import { readPage } from "../page-token.ts";
import { requireProject } from "../require-project.ts";
import { required } from "../required.ts";
import { found, readProjectName } from "../resource-path.ts";
import { addressViolations } from "./addresses.ts";
import { apiKeyMessageOf } from "./convert.ts";
import { createApiKey } from "./create.ts";
import { readKeyName } from "./key-name.ts";
import { rotateApiKey } from "./rotate.ts";

const FIXED = [...OUTPUT_ONLY, "key", "key_hint", "last_use_time", "previous_expire_time"];

export const apiKeyService = (deps: Deps): ServiceImpl<typeof ApiKeyService> => ({
  createApiKey: (request, context) => createApiKey(deps, request, context),
  rotateApiKey: (request, context) => rotateApiKey(deps, request, context),
  updateApiKey: (request, context) => updateApiKey(deps, request, context),

  async getApiKey({ name }) {
    const { project, id } = readKeyName(name, "name");
    return { apiKey: apiKeyMessageOf(found(await deps.store.read((reader) => getApiKey(reader, project, id)))) };
  },

  async listApiKeys(request, context) {
    const project = request.parent === "" ? null : readProjectName(request.parent, "parent");
    const { apiKey } = principalOf(context);
    const scope = { method: ListApiKeysRequestSchema.typeName, filter: [request.parent], principal: apiKey };
    const read = (after = "", limit = 0) =>
      deps.store.read(async (reader) => {
        if (project !== null) await requireProject(reader, project);
        return listApiKeys(reader, project, after, limit);
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    return { apiKeys: rows.map(apiKeyMessageOf), nextPageToken };
  },

  async deleteApiKey({ name, etag }, context) {
    const { project, id } = readKeyName(name, "name");
    const event = auditOf(context, name, deps.clock.now());
    const { sequence } = await commitChanges(deps.store, event, async (tx) => {
      requireEtag(etag, found(await lockApiKey(tx, project, id)));
      await deleteApiKey(tx, project, id);
      return { result: undefined, changes: [] };
    });
    return { configSequence: sequence };
  },
});

async function updateApiKey(
  deps: Deps,
  request: UpdateApiKeyRequest,
  context: AuditedCall,
): Promise<{ apiKey: ApiKeyMessage; configSequence: bigint }> {
  const wanted = required(request.apiKey);
  const { project, id } = readKeyName(wanted.name, "api_key.name");
  const nowMs = deps.clock.now();
  const event = auditOf(context, wanted.name, nowMs);
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const row = found(await lockApiKey(tx, project, id));
    requireEtag(wanted.etag, row);
    const change = readChange(row, request, nowMs);
    return { result: await updateRow(tx, { ...row, ...change, updateTime: new Date(nowMs) }), changes: [] };
  });
  return { apiKey: apiKeyMessageOf(result), configSequence: sequence };
}

/** Throws `field_invalid` for another role: a key keeps its power, so that a leaked one cannot be raised. */
function readChange(
  row: ApiKeyRow,
  request: UpdateApiKeyRequest,
  nowMs: number,
): Pick<ApiKeyRow, "displayName" | "expireTime" | "tokenLifetimeMaxMs" | "allowedAddresses" | "requestsPerMinute"> {
  const current = apiKeyMessageOf(row);
  const { message } = applyMask(ApiKeySchema, current, required(request.apiKey), request.updateMask, FIXED);
  const expireTimeMs = msFromTimestamp(message.expireTime);
  const isSameExpiry = expireTimeMs === row.expireTime?.getTime();
  const violations = isSameExpiry ? [] : expiryViolations("api_key.expire_time", expireTimeMs, nowMs);
  violations.push(...addressViolations(message.allowedAddresses));
  if (message.role !== current.role)
    violations.push({ field: "api_key.role", description: "is fixed: create another key and delete this one" });
  if (violations.length > 0) throw invalidFields(violations);
  return {
    displayName: message.displayName,
    expireTime: expireTimeMs === undefined ? null : new Date(expireTimeMs),
    tokenLifetimeMaxMs: msFromDuration(message.tokenLifetimeMax) ?? null,
    allowedAddresses: message.allowedAddresses,
    requestsPerMinute: message.requestsPerMinute || null,
  };
}
