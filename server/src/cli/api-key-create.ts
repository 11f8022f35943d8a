import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { type Output, printResult } from "./output.ts";

export interface ApiKeyCreateOptions {
  /** `operator`, `owner`, `editor`, `minter` or `viewer`. */
  readonly role: string;
  /** Project id; absent = the installation (operator keys). */
  readonly project?: string;
  readonly displayName?: string;
  readonly json: boolean;
}

/** A key as its creator sees it, once. */
export interface CreatedApiKey {
  readonly name: string;
  readonly key: string;
}

/** Prints a new key, the only time it is shown. */
export function printApiKey(created: CreatedApiKey, json: boolean, output: Output): void {
  if (!json) output.err("Shown once: only its hash is kept.");
  printResult(output, { name: created.name, key: created.key }, json);
}

/** `conduit api-key create` through the API. */
export async function apiKeyCreate(
  settings: ClientSettings,
  options: ApiKeyCreateOptions,
  output: Output,
): Promise<void> {
  const { apiKey } = await orExit(
    controlClient(settings).call<{ apiKey: CreatedApiKey }>("conduit.v1.ApiKeyService", "CreateApiKey", {
      parent: options.project === undefined ? "" : `projects/${options.project}`,
      apiKey: { role: `ROLE_${options.role.toUpperCase()}`, displayName: options.displayName ?? "" },
    }),
  );
  printApiKey(apiKey, options.json, output);
}
