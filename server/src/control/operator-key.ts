import type { Clock } from "../clock.ts";
import { apiKeyName } from "../model/resource-name.ts";
import type { SecretText } from "../model/secret-text.ts";
import { generateToken } from "../model/token-string.ts";
import type { Random } from "../random.ts";
import { insertApiKey } from "../store/api-keys.ts";
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
  await store.transaction((tx) => insertApiKey(tx, row));
  return { name: apiKeyName(undefined, id), key };
}
