import {
  type CreateSecretRequest,
  CreateSecretRequestSchema,
  ListSecretsRequestSchema,
  type Secret as SecretMessage,
  type SecretService,
} from "@conduit-link/proto/conduit/v1/secret_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges, type Write } from "../../config-log/commit.ts";
import { idOf, secretName } from "../../model/resource-name.ts";
import { fingerprintOf } from "../../model/secret.ts";
import { SecretText } from "../../model/secret-text.ts";
import type { Tx } from "../../store/database.ts";
import { deleteSecret, getSecret, insertSecret, listSecrets, lockSecret, type SecretRow } from "../../store/secrets.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { newId } from "../new-id.ts";
import { readPage } from "../page-token.ts";
import { requireProject } from "../require-project.ts";
import { required } from "../required.ts";
import { found, readNameInProject, readProjectName } from "../resource-path.ts";
import { sealingKeyOf, sealValues, secretChange } from "../secret-values.ts";
import { requireUnusedSecret } from "../users-of-resource.ts";
import { secretMessageOf } from "./convert.ts";
import { requireSendable } from "./soundness.ts";
import { updateSecret } from "./update.ts";

export const secretService = (deps: Deps): ServiceImpl<typeof SecretService> => ({
  createSecret: (request, context) => createSecret(deps, request, context),
  updateSecret: (request, context) => updateSecret(deps, request, context),

  async getSecret({ name }) {
    const { project, id } = readNameInProject("secret", name, "name");
    return { secret: secretMessageOf(found(await deps.store.read((reader) => getSecret(reader, project, id)))) };
  },

  async listSecrets(request, context) {
    const project = readProjectName(request.parent, "parent");
    const { apiKey } = principalOf(context);
    const scope = { method: ListSecretsRequestSchema.typeName, filter: [project], principal: apiKey };
    const read = (after = "", limit = 0) =>
      deps.store.read(async (reader) => {
        await requireProject(reader, project);
        return listSecrets(reader, project, after, limit);
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    return { secrets: rows.map(secretMessageOf), nextPageToken };
  },

  async deleteSecret({ name, etag }, context) {
    const { project, id } = readNameInProject("secret", name, "name");
    const event = auditOf(context, name, deps.clock.now());
    const { sequence } = await commitChanges(deps.store, event, async (tx) => {
      // Locked first: a link or issuer that is about to refer to it waits, and then finds it gone.
      requireEtag(etag, found(await lockSecret(tx, project, id)));
      await requireUnusedSecret(tx, project, name);
      await deleteSecret(tx, project, id);
      return { result: undefined, changes: [{ op: "delete", kind: "secret", name }] };
    });
    return { configSequence: sequence };
  },
});

async function createSecret(
  deps: Deps,
  request: CreateSecretRequest,
  context: AuditedCall,
): Promise<{ secret: SecretMessage; configSequence: bigint }> {
  const project = readProjectName(request.parent, "parent");
  const message = required(request.secret);
  const id = request.secretId || newId(deps.random, message.displayName, "secret");
  requireSendable("secret.value", message.value);
  if (message.nextValue !== "") requireSendable("secret.next_value", message.nextValue);
  const call = { context, schema: CreateSecretRequestSchema, request, resourceName: secretName(project, id) };
  const outcome = await createOnce(deps, call, (tx) => insertSealed(deps, tx, project, id, message));
  const row =
    "made" in outcome
      ? outcome.made
      : found(await deps.store.read((reader) => getSecret(reader, project, idOf(outcome.earlierName))));
  return { secret: secretMessageOf(row), configSequence: outcome.sequence };
}

async function insertSealed(
  deps: Deps,
  tx: Tx,
  project: string,
  id: string,
  message: SecretMessage,
): Promise<Write<SecretRow>> {
  await requireProject(tx, project);
  const value = new SecretText(message.value);
  const nextValue = message.nextValue === "" ? undefined : new SecretText(message.nextValue);
  const key = await sealingKeyOf(tx, project);
  const values = { value, ...(nextValue && { nextValue }) };
  const columns = sealValues(deps, key, { project, id }, undefined, values);
  const now = new Date(deps.clock.now());
  const row = await insertSecret(tx, {
    project,
    id,
    displayName: message.displayName,
    sealedValue: required(columns.sealedValue),
    valueVersion: required(columns.valueVersion),
    sealedNextValue: columns.sealedNextValue ?? null,
    nextValueVersion: columns.nextValueVersion ?? 0,
    fingerprint: fingerprintOf(message.value),
    createTime: now,
    updateTime: now,
  });
  return { result: row, changes: [await secretChange(deps, tx, project, id, values)] };
}
