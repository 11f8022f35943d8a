import type { Log } from "../log.ts";
import { isSameDigest } from "../model/config-digest.ts";
import type { Random } from "../random.ts";
import {
  type ClusterIdentity,
  type ConfigHead,
  clusterIdentity,
  getConfigHeadAnd,
  insertConfigHead,
  knownHead,
  lockConfigHead,
  setConfigEpoch,
} from "../store/config-head.ts";
import type { Store } from "../store/store.ts";
import type { LogPosition } from "./ring.ts";

/** What changing the epoch needs. */
export interface EpochEffects {
  readonly store: Store;
  readonly random: Random;
  readonly log: Log;
}

/**
 * The head of the log, made on the first start. A new epoch begins when the database is another cluster than the one the
 * epoch began in (restored from a backup) or on another timeline (rolled back, failed over): acknowledged changes may be
 * missing, and sequences would be used twice.
 */
export async function ensureHead({ store, random, log }: EpochEffects): Promise<ConfigHead> {
  const cluster = await askIdentity(store, log);
  return store.transaction(async (tx) => {
    await insertConfigHead(tx, random.uuid(), cluster);
    const head = knownHead(await lockConfigHead(tx));
    if (isSameCluster(head, cluster)) return head;
    log.warn("the database was restored or failed over: a new configuration epoch begins, every proxy resynchronises");
    return setConfigEpoch(tx, random.uuid(), cluster);
  });
}

/** Whether a service forbids the question does not matter: the rules of `followedHead` remain. */
async function askIdentity(store: Store, log: Log): Promise<ClusterIdentity> {
  try {
    return await store.read(clusterIdentity);
  } catch (err) {
    log.info({ err }, "the database does not tell its identity: restores are found by sequence and digest only");
    return { systemIdentifier: "", timeline: 0 };
  }
}

const isSameCluster = (head: ConfigHead, cluster: ClusterIdentity): boolean =>
  cluster.systemIdentifier === "" ||
  (head.systemIdentifier === cluster.systemIdentifier && head.timeline === cluster.timeline);

/**
 * The head as it is now, seen from a place this replica has read before. When the log no longer leads there (it is shorter,
 * or holds another state at that sequence), the database was put back under us: a new epoch begins.
 */
export async function followedHead(effects: EpochEffects, epoch: string, seen: LogPosition): Promise<ConfigHead> {
  const found = await effects.store.read((reader) => getConfigHeadAnd(reader, seen.sequence));
  const head = knownHead(found?.head);
  if (head.epoch !== epoch || leadsTo(seen, head, found?.digest)) return head;
  effects.log.error("the database went back to an older state: a new configuration epoch begins");
  return effects.store.transaction(async (tx) => {
    const locked = knownHead(await lockConfigHead(tx));
    // Another replica may have done it meanwhile.
    return locked.epoch === epoch ? setConfigEpoch(tx, effects.random.uuid(), locked) : locked;
  });
}

function leadsTo(seen: LogPosition, head: ConfigHead, digest: Uint8Array | undefined): boolean {
  if (head.sequence < seen.sequence) return false;
  if (head.sequence === seen.sequence) return isSameDigest(head.digest, seen.digest);
  return digest === undefined || isSameDigest(digest, seen.digest);
}
