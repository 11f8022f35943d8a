import {
  type ActivateSigningKeyRequest,
  ListSigningKeysRequestSchema,
  type SigningKey as SigningKeyMessage,
  type SigningKeyService,
} from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { commitChanges } from "../../config-log/commit.ts";
import { ConduitError } from "../../model/errors.ts";
import { getSigningKey, pageOfSigningKeys, type SigningKeyKey, type SigningKeyRow } from "../../store/signing-keys.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { readPage } from "../page-token.ts";
import { requireProject } from "../require-project.ts";
import { found, readNameInProject, readProjectName } from "../resource-path.ts";
import { signingKeyMessageOf } from "./convert.ts";
import { createSigningKey } from "./create.ts";
import { activate, lockKeys, retire } from "./key-set.ts";
import { whyNotReady } from "./readiness.ts";
import { revokeSigningKey } from "./revoke.ts";
import { rotateSigningKey } from "./rotate.ts";

export const signingKeyService = (deps: Deps): ServiceImpl<typeof SigningKeyService> => ({
  createSigningKey: (request, context) => createSigningKey(deps, request, context),
  rotateSigningKey: (request, context) => rotateSigningKey(deps, request, context),
  activateSigningKey: (request, context) => activateSigningKey(deps, request, context),
  revokeSigningKey: (request, context) => revokeSigningKey(deps, request, context),

  async getSigningKey({ name }) {
    const { project, id } = readNameInProject("signingKey", name, "name");
    const row = found(await deps.store.read((reader) => getSigningKey(reader, project, id)));
    return { signingKey: signingKeyMessageOf(row, deps.clock.now()) };
  },

  async listSigningKeys(request, context) {
    const project = readProjectName(request.parent, "parent");
    const { apiKey } = principalOf(context);
    const scope = { method: ListSigningKeysRequestSchema.typeName, filter: [project], principal: apiKey };
    const read = (after: string | undefined, limit = 0) =>
      deps.store.read(async (reader) => {
        await requireProject(reader, project);
        return pageOfSigningKeys(reader, project, after === undefined ? undefined : readKey(after), limit);
      });
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, keyText);
    return { signingKeys: rows.map((row) => signingKeyMessageOf(row, deps.clock.now())), nextPageToken };
  },
});

const keyText = ({ createTime, kid }: SigningKeyRow): string => `${createTime.getTime()} ${kid}`;

/** Reads what `keyText` writes; page tokens come back as they were given. */
function readKey(text: string): SigningKeyKey {
  const [time = "", kid = ""] = text.split(" ");
  return { createTime: new Date(Number(time)), kid };
}

async function activateSigningKey(
  deps: Deps,
  { name, force }: ActivateSigningKeyRequest,
  context: AuditedCall,
): Promise<{ signingKey: SigningKeyMessage; configSequence: bigint }> {
  const { project, id } = readNameInProject("signingKey", name, "name");
  const nowMs = deps.clock.now();
  const event = auditOf(context, name, nowMs, { force: String(force) });
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const { purpose } = found(await getSigningKey(tx, project, id));
    const { active, changes } = await lockKeys(deps, tx, project, purpose);
    // Once more: it may have changed before the lock.
    const key = found(await getSigningKey(tx, project, id));
    if (key.state !== "PENDING") throw notPending();
    const reason = force ? undefined : await whyNotReady(tx, key, nowMs);
    if (reason !== undefined) throw reason;
    await retire(tx, active, new Date(nowMs));
    return { result: await activate(tx, key, new Date(nowMs)), changes: await changes(nowMs) };
  });
  return { signingKey: signingKeyMessageOf(result, nowMs), configSequence: sequence };
}

const notPending = (): ConduitError =>
  new ConduitError("precondition_unmet", {
    detail: "Only a PENDING key can begin to sign",
    metadata: { condition: "state" },
  });
