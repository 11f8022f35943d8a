import type { SnapshotReason } from "./frames.ts";

/** Told what the hub does, for metrics. Called on hot paths: it only counts. */
export interface HubObserver {
  /** A stream began; `reason` = why with a snapshot, undefined = it resumes. */
  streamBegan(reason: SnapshotReason | undefined): void;
  streamEnded(): void;
  /** Bytes handed to one stream. */
  sent(bytes: number): void;
  /** A reader was slower than the ring is long: it comes back for a snapshot. */
  fellOff(): void;
  /** A stream was refused because too many snapshots are asked for. */
  refused(): void;
  /** A snapshot was made, in so many milliseconds, of so many bytes. */
  snapshotBuilt(durationMs: number, bytes: number): void;
  /** A transaction was read from the log so many milliseconds after its commit. */
  read(lagMs: number): void;
  /** Changes were found by looking, not by a notification. */
  foundUnasked(): void;
}

/** Counts nothing. */
export const UNOBSERVED: HubObserver = {
  streamBegan() {},
  streamEnded() {},
  sent() {},
  fellOff() {},
  refused() {},
  snapshotBuilt() {},
  read() {},
  foundUnasked() {},
};
