import type { ConfigChange } from "../../model/config-resource.ts";
import { BUILT_IN_ISSUER_ID } from "../../model/project.ts";
import { PUBLISHED_STATES, type SigningKeyPurpose } from "../../model/signing-key.ts";
import type { Tx } from "../../store/database.ts";
import { lockIssuer } from "../../store/issuers.ts";
import { changeSigningKey, listSigningKeys, notePublished, type SigningKeyRow } from "../../store/signing-keys.ts";
import type { Store } from "../../store/store.ts";
import { assertionKeyChanges } from "../assertion-key.ts";
import type { Deps } from "../deps.ts";
import { issuerChange } from "../issuer-change.ts";
import { issuerOf } from "../issuer-row.ts";
import { found } from "../resource-path.ts";

/** The keys of a project for one purpose that are published or signing, while nobody else can change them. */
export interface LockedKeys {
  readonly purpose: SigningKeyPurpose;
  /** Oldest first. */
  readonly keys: readonly SigningKeyRow[];
  /** The one that signs. */
  readonly active: SigningKeyRow | undefined;
  /** What the proxies get, as it is when this is called: key sets to verify with, or the key that signs assertions. */
  changes(nowMs: number): Promise<ConfigChange[]>;
}

/**
 * Locks the built-in issuer of a project, through which everything that changes its keys goes one after the other.
 * @throws ConduitError `resource_not_found` when there is no such project
 */
export async function lockKeys(deps: Deps, tx: Tx, project: string, purpose: SigningKeyPurpose): Promise<LockedKeys> {
  const issuer = issuerOf(found(await lockIssuer(tx, project, BUILT_IN_ISSUER_ID)));
  const keys = await listSigningKeys(tx, project, PUBLISHED_STATES, [purpose]);
  return {
    purpose,
    keys,
    active: keys.find(({ state }) => state === "ACTIVE"),
    changes: async (nowMs) =>
      purpose === "ASSERTION" ? assertionKeyChanges(deps, tx, project) : [await issuerChange(tx, issuer, nowMs)],
  };
}

/** The key that signs so far signs no more. Done before another begins: the database allows one at a time. */
export async function retire(tx: Tx, active: SigningKeyRow | undefined, now: Date): Promise<void> {
  if (active !== undefined) await changeSigningKey(tx, active.kid, { state: "RETIRING", retireTime: now });
}

/** A key begins to sign. */
export const activate = (tx: Tx, { kid }: SigningKeyRow, now: Date): Promise<SigningKeyRow> =>
  changeSigningKey(tx, kid, { state: "ACTIVE", activateTime: now, scheduledActivateTime: null });

/** Notes from which sequence on proxies know a key: known only after the commit that published it. */
export const noteSequence = (store: Store, { kid }: SigningKeyRow, sequence: bigint): Promise<void> =>
  store.transaction((tx) => notePublished(tx, kid, sequence));
