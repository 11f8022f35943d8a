import type { Store } from "../store/store.ts";
import { buildSnapshot, type Snapshot } from "./snapshot-build.ts";

/** A snapshot for one reader, who gives it back. */
export interface SnapshotLease {
  readonly snapshot: Snapshot;
  /** The reader needs it no more. */
  release(): void;
}

/** Snapshots of the current state. */
export interface Snapshots {
  /**
   * One at `sequence` or later, in `epoch` unless the database has another by now: the last one while it is younger than
   * 5 s, or 30 s while somebody reads it, else a new one. So few are in memory, however many read at whatever pace.
   */
  lease(epoch: string, sequence: bigint): Promise<SnapshotLease>;
}

/** So long a snapshot is kept for whoever asks next: proxies that reconnect together share one. */
const FRESH_MS = 5_000;
/** So long while it is read: it is in memory anyway, and the ring leads on from it. */
const READ_MS = 30_000;

interface Kept {
  readonly snapshot: Snapshot;
  readonly builtAt: number;
  readers: number;
  isFresh: boolean;
}

/** Builds snapshots, one at a time. @param built told of each, with the milliseconds it took */
export function createSnapshots(
  store: Store,
  now: () => number,
  built: (durationMs: number, bytes: number) => void,
): Snapshots {
  let kept: Kept | undefined;
  let building: Promise<Kept> | undefined;

  async function build(): Promise<Kept> {
    const start = now();
    const snapshot = await buildSnapshot(store);
    built(
      now() - start,
      snapshot.chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    );
    const made = { snapshot, builtAt: now(), readers: 0, isFresh: true };
    kept = made;
    setTimeout(() => {
      made.isFresh = false;
      forget(made);
    }, FRESH_MS).unref();
    return made;
  }

  function forget(one: Kept): void {
    if (kept === one && !one.isFresh && one.readers === 0) kept = undefined;
  }

  async function find(epoch: string, sequence: bigint): Promise<Kept> {
    // One that is being built may have been read too early for this caller.
    await building?.catch(() => {});
    if (kept !== undefined && isGood(kept, epoch, sequence)) return kept;
    building ??= build().finally(() => {
      building = undefined;
    });
    return building;
  }

  const isGood = ({ snapshot, builtAt }: Kept, epoch: string, sequence: bigint): boolean =>
    snapshot.epoch === epoch && snapshot.sequence >= sequence && now() - builtAt < READ_MS;

  return {
    async lease(epoch, sequence) {
      const one = await find(epoch, sequence);
      one.readers += 1;
      return {
        snapshot: one.snapshot,
        release() {
          one.readers -= 1;
          forget(one);
        },
      };
    },
  };
}
