import { create } from "@bufbuild/protobuf";
import {
  type ApiKey as ApiKeyMessage,
  ApiKeySchema,
  Role as ProtoRole,
} from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import type { ApiKey, Role } from "../model/api-key.ts";
import { enumTable } from "./enum-table.ts";
import { metaToProto, type ResourceMeta } from "./resource-meta.ts";
import { durationFromMs, timestampFromMs } from "./time.ts";

const ROLES = enumTable<Role, ProtoRole>("role", {
  viewer: ProtoRole.VIEWER,
  minter: ProtoRole.MINTER,
  editor: ProtoRole.EDITOR,
  owner: ProtoRole.OWNER,
  operator: ProtoRole.OPERATOR,
});

/** Undefined when it is not set: there is no default for what a credential may do. */
export const roleFromProto = (role: ProtoRole): Role | undefined =>
  role === ProtoRole.UNSPECIFIED ? undefined : ROLES.fromProto(role, "viewer");

/** The key without its text. */
export function apiKeyToProto(apiKey: ApiKey, meta: ResourceMeta): ApiKeyMessage {
  const message = create(ApiKeySchema, {
    ...metaToProto(meta),
    name: apiKey.name,
    displayName: apiKey.displayName,
    role: ROLES.toProto(apiKey.role),
    keyHint: apiKey.hint,
    allowedAddresses: [...apiKey.allowedAddresses],
    requestsPerMinute: apiKey.requestsPerMinute ?? 0,
  });
  message.expireTime = timestampFromMs(apiKey.expireTimeMs);
  message.tokenLifetimeMax = durationFromMs(apiKey.tokenLifetimeMaxMs);
  message.lastUseTime = timestampFromMs(apiKey.lastUseTimeMs);
  message.previousExpireTime = timestampFromMs(apiKey.previousExpireTimeMs);
  return message;
}
