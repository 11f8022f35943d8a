import {
  type CreateSigningKeyRequest,
  CreateSigningKeyRequestSchema,
  type SigningKey as SigningKeyMessage,
} from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import type { Write } from "../../config-log/commit.ts";
import { generateSigningKey, readPrivateKey, type StoredSigningKey } from "../../jwt/signing-key.ts";
import { invalidFields } from "../../model/errors.ts";
import { idOf, signingKeyName } from "../../model/resource-name.ts";
import { SecretText } from "../../model/secret-text.ts";
import type { BuiltInAlgorithm, SigningKeyPurpose } from "../../model/signing-key.ts";
import type { Tx } from "../../store/database.ts";
import { activeSigningKey, getSigningKey, insertSigningKey, type SigningKeyRow } from "../../store/signing-keys.ts";
import { builtInAlgorithmFromProto, purposeFromProto } from "../../wire/signing-key.ts";
import type { AuditedCall } from "../audit-of.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { found, readProjectName } from "../resource-path.ts";
import { sealingKeyOf } from "../secret-values.ts";
import { signingKeyRow } from "../signing-keys.ts";
import { signingKeyMessageOf } from "./convert.ts";
import { lockKeys, noteSequence } from "./key-set.ts";

export async function createSigningKey(
  deps: Deps,
  request: CreateSigningKeyRequest,
  context: AuditedCall,
): Promise<{ signingKey: SigningKeyMessage; configSequence: bigint }> {
  const project = readProjectName(request.parent, "parent");
  const nowMs = deps.clock.now();
  const purpose = purposeFromProto(request.signingKey?.purpose);
  const stored = await storedKeyOf(deps, project, purpose, request);
  const make = async (tx: Tx): Promise<Write<SigningKeyRow>> => {
    const { active, changes } = await lockKeys(deps, tx, project, purpose);
    const state = active === undefined ? "ACTIVE" : "PENDING";
    const row = signingKeyRow(deps, await sealingKeyOf(tx, project), stored, state, new Date(nowMs), purpose);
    return { result: await insertSigningKey(tx, row), changes: await changes(nowMs) };
  };
  const resourceName = signingKeyName(project, stored.kid);
  const call = { context, schema: CreateSigningKeyRequestSchema, request, resourceName };
  const outcome = await createOnce(deps, call, make);
  if ("made" in outcome) {
    await noteSequence(deps.store, outcome.made, outcome.sequence);
    return { signingKey: signingKeyMessageOf(outcome.made, nowMs), configSequence: outcome.sequence };
  }
  const earlier = await deps.store.read((reader) => getSigningKey(reader, project, idOf(outcome.earlierName)));
  return { signingKey: signingKeyMessageOf(found(earlier), nowMs), configSequence: outcome.sequence };
}

/** The imported key, or a new one. Made before the transaction, which waits for nothing but the database. */
async function storedKeyOf(
  deps: Deps,
  project: string,
  purpose: SigningKeyPurpose,
  { signingKey, privateKey }: CreateSigningKeyRequest,
): Promise<StoredSigningKey> {
  const wanted = builtInAlgorithmFromProto(signingKey?.algorithm ?? "");
  if (privateKey === "") return generateSigningKey(wanted ?? (await currentAlgorithm(deps, project, purpose)));
  const imported = await readPrivateKey(new SecretText(privateKey));
  if (imported === undefined) {
    const description = "must be a PKCS#8 PEM or JWK private key: P-256, Ed25519, or RSA of 2048-4096 bits";
    throw invalidFields([{ field: "private_key", description }]);
  }
  if (wanted !== undefined && wanted !== imported.algorithm)
    throw invalidFields([{ field: "signing_key.algorithm", description: "is not what the imported key is for" }]);
  return imported;
}

/** A new key is like the one that signs now: whoever verifies can do that. */
export async function currentAlgorithm(
  deps: Deps,
  project: string,
  purpose: SigningKeyPurpose,
): Promise<BuiltInAlgorithm> {
  const active = await deps.store.read((reader) => activeSigningKey(reader, project, purpose));
  return active?.algorithm ?? "ES256";
}
