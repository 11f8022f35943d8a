import {
  type Secret as SecretMessage,
  SecretSchema,
  type UpdateSecretRequest,
} from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import type { ConfigChange } from "../../model/config-resource.ts";
import { fingerprintOf } from "../../model/secret.ts";
import { SecretText } from "../../model/secret-text.ts";
import type { Tx } from "../../store/database.ts";
import { lockSecret, type SecretRow, updateSecret as updateRow } from "../../store/secrets.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { applyMask, OUTPUT_ONLY } from "../field-mask.ts";
import { required } from "../required.ts";
import { found, readNameInProject } from "../resource-path.ts";
import { openValues, sealingKeyOf, sealValues, secretChange } from "../secret-values.ts";
import { secretMessageOf } from "./convert.ts";
import { type NewValues, requireFitForIssuers, requireSendable } from "./soundness.ts";

const FIXED = [...OUTPUT_ONLY, "secret_set", "next_secret_set", "fingerprint"];

export async function updateSecret(
  deps: Deps,
  request: UpdateSecretRequest,
  context: AuditedCall,
): Promise<{ secret: SecretMessage; configSequence: bigint }> {
  const wanted = required(request.secret);
  const { project, id } = readNameInProject("secret", wanted.name, "secret.name");
  const event = auditOf(context, wanted.name, deps.clock.now());
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const row = found(await lockSecret(tx, project, id));
    requireEtag(wanted.etag, row);
    const update = readUpdate(row, request);
    const fresh: NewValues = [
      ...(update.value ? [["secret.value", update.value] as const] : []),
      ...(update.nextValue ? [["secret.next_value", update.nextValue] as const] : []),
    ];
    await requireFitForIssuers(tx, project, wanted.name, fresh);
    const columns = sealValues(deps, await sealingKeyOf(tx, project), row, row, update);
    const { displayName, fingerprint = row.fingerprint } = update;
    const updateTime = new Date(deps.clock.now());
    const result = await updateRow(tx, { ...row, ...columns, displayName, fingerprint, updateTime });
    return { result, changes: await changesOf(deps, tx, result, columns) };
  });
  return { secret: secretMessageOf(result), configSequence: sequence };
}

/** What the update asks for; a value that is not touched is absent, a next value that is taken away null. */
interface SecretUpdate {
  readonly displayName: string;
  readonly value?: SecretText;
  readonly fingerprint?: string;
  readonly nextValue?: SecretText | null;
}

function readUpdate(row: SecretRow, request: UpdateSecretRequest): SecretUpdate {
  const current = secretMessageOf(row);
  const { message, touched } = applyMask(SecretSchema, current, required(request.secret), request.updateMask, FIXED);
  const { displayName, value, nextValue } = message;
  if (touched.has("value")) requireSendable("secret.value", value);
  if (nextValue !== "") requireSendable("secret.next_value", nextValue);
  return {
    displayName,
    ...(touched.has("value") && { value: new SecretText(value), fingerprint: fingerprintOf(value) }),
    ...(touched.has("next_value") && { nextValue: nextValue === "" ? null : new SecretText(nextValue) }),
  };
}

/** Nothing when no value changed: the proxies know no display names. */
async function changesOf(deps: Deps, tx: Tx, row: SecretRow, columns: object): Promise<ConfigChange[]> {
  if (Object.keys(columns).length === 0) return [];
  return [await secretChange(deps, tx, row.project, row.id, await openValues(deps, tx, row))];
}
