import { commitChanges, type Write } from "../../config-log/commit.ts";
import { generateSigningKey, type StoredSigningKey } from "../../jwt/signing-key.ts";
import type { AuditEvent } from "../../model/audit-event.ts";
import { signingKeyName } from "../../model/resource-name.ts";
import { ROTATE_AFTER_MS, SCHEDULED_LEAD_MS, unpublishTimeMs } from "../../policy/signing-key-life.ts";
import { tryTask } from "../../store/advisory-lock.ts";
import { recordAudit } from "../../store/audit.ts";
import type { Tx } from "../../store/database.ts";
import { changeSigningKey, groupsWithKeyWork, type KeyGroup, type SigningKeyRow } from "../../store/signing-keys.ts";
import type { Deps } from "../deps.ts";
import { stateOf } from "../signing-keys.ts";
import { currentAlgorithm } from "./create.ts";
import { activate, type LockedKeys, lockKeys, noteSequence, retire } from "./key-set.ts";
import { whyNotReady } from "./readiness.ts";
import { schedule } from "./rotate.ts";

/** Key sets looked after in one run; more are left to the next. */
const GROUPS_MAX = 100;

/**
 * What the clock does to keys: those whose tokens have all expired leave the key set, scheduled ones begin to sign once
 * they may, and one that has signed for 90 days gets a successor. Any number of replicas may run it: one does it.
 */
export async function rotateDueKeys(deps: Deps): Promise<void> {
  const nowMs = deps.clock.now();
  const times = {
    now: new Date(nowMs),
    retiredBefore: new Date(nowMs - unpublishTimeMs(0)),
    activeBefore: new Date(nowMs - ROTATE_AFTER_MS + SCHEDULED_LEAD_MS),
  };
  const groups = await deps.store.read((reader) => groupsWithKeyWork(reader, times, GROUPS_MAX));
  for (const group of groups) await doWork(deps, group, nowMs);
}

async function doWork(deps: Deps, group: KeyGroup, nowMs: number): Promise<void> {
  const { project, purpose } = group;
  // Made before the transaction, which waits for nothing but the database.
  const spare = await generateSigningKey(await currentAlgorithm(deps, project, purpose));
  const { result: published, sequence } = await commitChanges(
    deps.store,
    "swept",
    async (tx): Promise<Write<SigningKeyRow | undefined>> => {
      if (!(await tryTask(tx, "signing-keys"))) return { result: undefined, changes: [] };
      const locked = await lockKeys(deps, tx, project, purpose);
      await retireOver(tx, locked, nowMs);
      await activateScheduled(tx, locked, nowMs);
      const made = await scheduleSuccessor(deps, tx, group, locked, spare, nowMs);
      return { result: made, changes: await locked.changes(nowMs) };
    },
  );
  if (published !== undefined) await noteSequence(deps.store, published, sequence);
}

async function retireOver(tx: Tx, { keys }: LockedKeys, nowMs: number): Promise<void> {
  for (const key of keys) {
    if (key.state !== "RETIRING" || stateOf(key, nowMs) !== "RETIRED") continue;
    await changeSigningKey(tx, key.kid, { state: "RETIRED" });
    await recordAudit(tx, doneByClock("RetireSigningKey", key, nowMs));
  }
}

async function activateScheduled(tx: Tx, { keys, active }: LockedKeys, nowMs: number): Promise<void> {
  const due = keys.find(({ scheduledActivateTime: time }) => time !== null && time.getTime() <= nowMs);
  if (due === undefined || (await whyNotReady(tx, due, nowMs)) !== undefined) return;
  await retire(tx, active, new Date(nowMs));
  await recordAudit(tx, doneByClock("ActivateSigningKey", await activate(tx, due, new Date(nowMs)), nowMs));
}

async function scheduleSuccessor(
  deps: Deps,
  tx: Tx,
  group: KeyGroup,
  { keys, active }: LockedKeys,
  spare: StoredSigningKey,
  nowMs: number,
): Promise<SigningKeyRow | undefined> {
  const activeMs = active?.activateTime?.getTime() ?? nowMs;
  const isDue = nowMs >= activeMs + ROTATE_AFTER_MS - SCHEDULED_LEAD_MS;
  if (!isDue || keys.some(({ scheduledActivateTime }) => scheduledActivateTime !== null)) return undefined;
  const made = await schedule(deps, tx, group, spare, nowMs, SCHEDULED_LEAD_MS);
  await recordAudit(tx, doneByClock("RotateSigningKey", made, nowMs));
  return made;
}

const doneByClock = (verb: string, { project, kid }: SigningKeyRow, timeMs: number): AuditEvent => ({
  timeMs,
  actor: "jobs/signing-keys",
  action: `SigningKeyService.${verb}`,
  resource: signingKeyName(project, kid),
  requestId: "",
  clientAddress: "",
  details: {},
});
