import {
  type ApiKey as ApiKeyMessage,
  type CreateApiKeyRequest,
  CreateApiKeyRequestSchema,
} from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import type { Write } from "../../config-log/commit.ts";
import type { Role } from "../../model/api-key.ts";
import { type FieldViolation, invalidFields } from "../../model/errors.ts";
import { apiKeyName, idOf } from "../../model/resource-name.ts";
import { generateToken } from "../../model/token-string.ts";
import { type ApiKeyRow, getApiKey, insertApiKey } from "../../store/api-keys.ts";
import type { Tx } from "../../store/database.ts";
import { roleFromProto } from "../../wire/api-key.ts";
import { msFromDuration, msFromTimestamp } from "../../wire/time.ts";
import { newApiKeyRow } from "../api-key-row.ts";
import type { AuditedCall } from "../audit-of.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { expiryViolations } from "../expiry.ts";
import { newId } from "../new-id.ts";
import { requireProject } from "../require-project.ts";
import { required } from "../required.ts";
import { found, readProjectName } from "../resource-path.ts";
import { addressViolations } from "./addresses.ts";
import { apiKeyMessageOf } from "./convert.ts";

export async function createApiKey(
  deps: Deps,
  request: CreateApiKeyRequest,
  context: AuditedCall,
): Promise<{ apiKey: ApiKeyMessage; configSequence: bigint }> {
  const project = request.parent === "" ? null : readProjectName(request.parent, "parent");
  const message = required(request.apiKey);
  const nowMs = deps.clock.now();
  const role = requireRole(message, project, nowMs);
  const id = request.apiKeyId || newId(deps.random, message.displayName, "key");
  const text = generateToken("apiKey", deps.random).reveal();
  const expireTimeMs = msFromTimestamp(message.expireTime);
  const { allowedAddresses, requestsPerMinute } = message;
  const limits = {
    expireTimeMs,
    tokenLifetimeMaxMs: msFromDuration(message.tokenLifetimeMax),
    allowedAddresses,
    requestsPerMinute: requestsPerMinute || undefined,
  };
  const row = newApiKeyRow(text, { project, id, role, displayName: message.displayName, ...limits }, nowMs);
  const make = async (tx: Tx): Promise<Write<ApiKeyRow>> => {
    if (project !== null) await requireProject(tx, project);
    return { result: await insertApiKey(tx, row), changes: [] };
  };
  const resourceName = apiKeyName(project ?? undefined, id);
  const outcome = await createOnce(deps, { context, schema: CreateApiKeyRequestSchema, request, resourceName }, make);
  if ("made" in outcome)
    // The only answer that holds the text: the database has its hash.
    return { apiKey: { ...apiKeyMessageOf(outcome.made), key: text }, configSequence: outcome.sequence };
  const earlier = await deps.store.read((reader) => getApiKey(reader, project, idOf(outcome.earlierName)));
  return { apiKey: apiKeyMessageOf(found(earlier)), configSequence: outcome.sequence };
}

/** Throws `field_invalid`. Operators belong to the installation, everyone else to a project: there is nothing between. */
function requireRole(message: ApiKeyMessage, project: string | null, nowMs: number): Role {
  const role = roleFromProto(message.role);
  const violations = [
    ...roleViolations(role, project),
    ...expiryViolations("api_key.expire_time", msFromTimestamp(message.expireTime), nowMs),
    ...addressViolations(message.allowedAddresses),
  ];
  if (role === undefined || violations.length > 0) throw invalidFields(violations);
  return role;
}

function roleViolations(role: Role | undefined, project: string | null): FieldViolation[] {
  const field = "api_key.role";
  if (role === undefined) return [{ field, description: "is required: viewer, minter, editor, owner or operator" }];
  if (role === "operator" && project !== null)
    return [{ field, description: "operator is a role of the installation: leave parent empty" }];
  if (role !== "operator" && project === null)
    return [{ field, description: "a key of this role needs a project: name it in parent" }];
  return [];
}
