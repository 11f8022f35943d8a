import { create } from "@bufbuild/protobuf";
import {
  type Duration,
  DurationSchema,
  type Timestamp,
  timestampMs,
  timestampFromMs as timestampOf,
} from "@bufbuild/protobuf/wkt";

const NANOS_PER_MS = 1_000_000;

/** Milliseconds since the epoch → Timestamp; undefined stays undefined. */
export const timestampFromMs = (ms: number | undefined): Timestamp | undefined =>
  ms === undefined ? undefined : timestampOf(ms);

/** Timestamp → milliseconds since the epoch, rounded down; undefined stays undefined. */
export const msFromTimestamp = (timestamp: Timestamp | undefined): number | undefined =>
  timestamp === undefined ? undefined : timestampMs(timestamp);

/** Milliseconds → Duration; undefined stays undefined. */
export function durationFromMs(ms: number | undefined): Duration | undefined {
  if (ms === undefined) return undefined;
  const seconds = Math.trunc(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * NANOS_PER_MS) });
}

/** Duration → milliseconds, rounded down to whole ones; undefined stays undefined. */
export const msFromDuration = (duration: Duration | undefined): number | undefined =>
  duration === undefined ? undefined : Number(duration.seconds) * 1000 + Math.trunc(duration.nanos / NANOS_PER_MS);
