import type { Clock } from "../clock.ts";
import type { AuditEvent } from "../model/audit-event.ts";
import { projectName } from "../model/resource-name.ts";
import type { SealedPlace } from "../sealing/envelope.ts";
import { sealedPrefix } from "../sealing/envelope.ts";
import { dataKeyIdOf, type Keyring, type WrappedDataKey } from "../sealing/keyring.ts";
import { recordAudit } from "../store/audit.ts";
import {
  countDataKeys,
  currentDataKey,
  getDataKey,
  insertDataKey,
  lockDataKeysNotUnder,
  replaceWrapping,
} from "../store/data-keys.ts";
import type { Tx } from "../store/database.ts";
import { getProject } from "../store/projects.ts";
import {
  lockSealedOtherwise,
  replaceSealed,
  SEALED_COLUMNS,
  type SealedColumn,
  type SealedValue,
} from "../store/sealed-columns.ts";
import type { Store } from "../store/store.ts";
import { found } from "./resource-path.ts";

/** What upkeep works with: `--local` commands open the database themselves. */
export interface Upkeep {
  readonly store: Store;
  readonly keyring: Keyring;
  readonly clock: Clock;
}

/** A master key as far as the database knows it. */
export interface MasterKeyUse {
  readonly masterKeyId: string;
  /** `first` wraps new keys; `given` only unwraps; `missing` was not given. */
  readonly standing: "first" | "given" | "missing";
  readonly dataKeys: number;
}

/** Rows of one transaction: small, so that a server that works meanwhile waits for milliseconds at most. */
const BATCH = 100;

/** Which master keys are used and which are given, the first one first. */
export async function masterKeyUses({ store, keyring }: Pick<Upkeep, "store" | "keyring">): Promise<MasterKeyUse[]> {
  const counts = new Map((await store.read(countDataKeys)).map((row) => [row.masterKeyId, row.dataKeys]));
  const given = keyring.masterKeyIds.map((masterKeyId, index) => ({
    masterKeyId,
    standing: index === 0 ? ("first" as const) : ("given" as const),
    dataKeys: counts.get(masterKeyId) ?? 0,
  }));
  const missing = [...counts].filter(([masterKeyId]) => !keyring.masterKeyIds.includes(masterKeyId));
  return [
    ...given,
    ...missing.map(([masterKeyId, dataKeys]) => ({ masterKeyId, standing: "missing" as const, dataKeys })),
  ];
}

/**
 * Wraps every data key by the first master key. Each batch is a transaction: stopped at any moment, nothing is lost, and
 * the next run goes on where this one was. Keys whose master key was not given stay as they are.
 * @param onProgress called after each batch with how many were rewrapped so far
 * @returns how many were rewrapped
 */
export async function rewrapDataKeys(upkeep: Upkeep, onProgress: (done: number) => void): Promise<number> {
  const { store, keyring } = upkeep;
  const [first = ""] = keyring.masterKeyIds;
  let done = 0;
  let after = "";
  for (;;) {
    const batch = await store.transaction(async (tx) => {
      const keys = await lockDataKeysNotUnder(tx, first, after, BATCH);
      const openable = keys.filter(({ masterKeyId }) => keyring.masterKeyIds.includes(masterKeyId));
      for (const key of openable) await replaceWrapping(tx, keyring.rewrap(key) ?? key);
      if (openable.length > 0)
        await recordAudit(tx, doneLocally(upkeep, "RewrapDataKeys", "", { data_keys: String(openable.length) }));
      return { last: keys.at(-1)?.id, rewrapped: openable.length };
    });
    if (batch.last === undefined) return done;
    after = batch.last;
    done += batch.rewrapped;
    onProgress(done);
  }
}

/**
 * Gives a project ("" = the installation) a new data key and seals everything of it anew. Run again after a stop it
 * would make one more key: nothing is lost, since old keys stay and open what they sealed.
 * @returns how many values were sealed anew
 * @throws ConduitError `resource_not_found`
 */
export async function rotateDataKey(
  upkeep: Upkeep,
  project: string,
  onProgress: (done: number) => void,
): Promise<number> {
  const { store, keyring, clock } = upkeep;
  const fresh = keyring.createDataKey(project);
  await store.transaction(async (tx) => {
    if (project !== "") found(await getProject(tx, project));
    // The newest seals: newer than the last one although the clock may stand or have gone back.
    const before = await currentDataKey(tx, project);
    await insertDataKey(tx, fresh, new Date(Math.max(clock.now(), (before?.createTime.getTime() ?? 0) + 1)));
    await recordAudit(tx, doneLocally(upkeep, "RotateDataKey", project, { data_key: fresh.id }));
  });
  let done = 0;
  for (const column of SEALED_COLUMNS.filter(({ inProject }) => inProject === (project !== ""))) {
    for (;;) {
      const count = await store.transaction((tx) => resealBatch(tx, keyring, column, fresh));
      if (count === 0) break;
      done += count;
      onProgress(done);
    }
  }
  return done;
}

/** Locked rows only: a value that is being replaced meanwhile is sealed under the new key by whoever replaces it. */
async function resealBatch(tx: Tx, keyring: Keyring, column: SealedColumn, fresh: WrappedDataKey): Promise<number> {
  const { project } = fresh;
  const values = await lockSealedOtherwise(tx, column, project, sealedPrefix(fresh.id), BATCH);
  for (const value of values)
    await replaceSealed(tx, column, project, await resealed(tx, keyring, column, fresh, value));
  return values.length;
}

async function resealed(
  tx: Tx,
  keyring: Keyring,
  { table, column }: SealedColumn,
  fresh: WrappedDataKey,
  value: SealedValue,
): Promise<SealedValue> {
  const { row, version, sealed } = value;
  const before = await getDataKey(tx, dataKeyIdOf(sealed));
  if (before === undefined) throw new TypeError("the data key of a sealed value is gone");
  const place: SealedPlace = { table, column, project: fresh.project, row, version };
  const plaintext = keyring.open(before, sealed, place);
  const anew = keyring.seal(fresh, plaintext, place);
  plaintext.fill(0);
  return { ...value, sealed: anew };
}

const doneLocally = (
  { clock }: Upkeep,
  action: string,
  project: string,
  details: AuditEvent["details"],
): AuditEvent => ({
  timeMs: clock.now(),
  actor: "local",
  action: `Keys.${action}`,
  resource: project === "" ? "" : projectName(project),
  requestId: "",
  clientAddress: "",
  details,
});
