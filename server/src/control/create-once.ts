import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { commitChanges, type Write } from "../config-log/commit.ts";
import type { AuditEvent } from "../model/audit-event.ts";
import type { Tx } from "../store/database.ts";
import { type AuditedCall, auditOf } from "./audit-of.ts";
import { principalOf } from "./call.ts";
import type { Deps } from "./deps.ts";
import { createdBefore, requestMac } from "./idempotency.ts";

/** A create call as far as its repetition matters. */
export interface CreateCall<Desc extends DescMessage> {
  readonly context: AuditedCall;
  /** The request's schema; its name stands for the method. */
  readonly schema: Desc;
  readonly request: MessageShape<Desc> & { readonly requestId: string };
  /** What is about to be created. */
  readonly resourceName: string;
  /** Of the audit event; absent = none. */
  readonly details?: AuditEvent["details"];
}

export type CreateOutcome<Made> =
  | { readonly made: Made; readonly sequence: bigint }
  /** Created by an earlier call of the same request: answer with it as it is now. */
  | { readonly earlierName: string; readonly sequence: bigint };

/** Creates in one transaction with the claim of the request id, so that a retry can neither miss it nor do it twice. */
export async function createOnce<Desc extends DescMessage, Made>(
  deps: Deps,
  call: CreateCall<Desc>,
  make: (tx: Tx, event: AuditEvent) => Promise<Write<Made>>,
): Promise<CreateOutcome<Made>> {
  const { context, schema, request, resourceName } = call;
  const mac = requestMac(deps.requestKey, schema, request);
  const once = { principal: principalOf(context).apiKey, method: schema.typeName, mac, resourceName };
  const nowMs = deps.clock.now();
  const event = auditOf(context, resourceName, nowMs, call.details);
  const { result, sequence } = await commitChanges(deps.store, event, async (tx): Promise<Write<CreateStep<Made>>> => {
    const earlierName = await createdBefore(tx, { ...once, requestId: request.requestId }, nowMs);
    if (earlierName !== undefined) return { result: { earlierName }, changes: [], isRepetition: true };
    const { result: made, changes } = await make(tx, event);
    return { result: { made }, changes };
  });
  return { ...result, sequence };
}

type CreateStep<Made> = { readonly made: Made } | { readonly earlierName: string };
