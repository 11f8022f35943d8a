import type { Clock } from "../clock.ts";
import type { AuditEvent } from "../model/audit-event.ts";
import { apiKeyName } from "../model/resource-name.ts";
import type { SecretText } from "../model/secret-text.ts";
import { generateToken } from "../model/token-string.ts";
import type { Random } from "../random.ts";
import { insertApiKey } from "../store/api-keys.ts";
import { recordAudit } from "../store/audit.ts";
import type { Store } from "../store/store.ts";
import { newApiKeyRow } from "./api-key-row.ts";
import { newId } from "./new-id.ts";

/** A key that is shown once. */
export interface ShownKey {
  /** `apiKeys/{key}`. */
  readonly name: string;
  readonly key: SecretText;
}

/**
 * The first operator key, straight into the database: `conduit api-key create --role operator --local`. Who can write
 * the database could write that row anyway; needs no master key.
 */
export async function createOperatorKey(
  store: Store,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  displayName: string,
): Promise<ShownKey> {
  const key = generateToken("apiKey", random);
  const id = newId(random, displayName, "operator");
  const row = newApiKeyRow(key.reveal(), { project: null, id, role: "operator", displayName }, clock.now());
  const name = apiKeyName(undefined, id);
  await store.transaction(async (tx) => {
    await insertApiKey(tx, row);
    await recordAudit(tx, createdLocally(name, row.createTime.getTime()));
  });
  return { name, key };
}

/** The command as the trail tells of it: nobody called, so nothing but the database's owner is known. */
const createdLocally = (resource: string, timeMs: number): AuditEvent => ({
  timeMs,
  actor: "local",
  action: "ApiKeyService.CreateApiKey",
  resource,
  requestId: "",
  clientAddress: "",
  details: {},
});
