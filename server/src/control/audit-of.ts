import type { DescMethod } from "@bufbuild/protobuf";
import type { AuditEvent } from "../model/audit-event.ts";
import { type Call, clientAddressKey, principalOf, requestIdKey } from "./call.ts";

/** A call as far as the trail tells of it: a handler's context. */
export interface AuditedCall extends Call {
  readonly method: DescMethod;
}

/**
 * The audit event of a call made with an API key.
 * @param resource name of what it is done to
 * @param details see `AuditEvent`: never a secret or token
 */
export const auditOf = (
  call: AuditedCall,
  resource: string,
  nowMs: number,
  details: AuditEvent["details"] = {},
): AuditEvent => auditBy(principalOf(call).apiKey, call, resource, nowMs, details);

/** The audit event of a call whose caller is known otherwise: by a refresh token, a join token. */
export const auditBy = (
  actor: string,
  { method, values }: AuditedCall,
  resource: string,
  nowMs: number,
  details: AuditEvent["details"] = {},
): AuditEvent => ({
  timeMs: nowMs,
  actor,
  action: `${method.parent.name}.${method.name}`,
  resource,
  requestId: values.get(requestIdKey),
  clientAddress: values.get(clientAddressKey),
  details,
});
