import type { Clock } from "../clock.ts";
import type { EncodedResource } from "../model/config-digest.ts";
import { readConfigCurrent } from "../store/config-current.ts";
import { type ConfigHead, getConfigHead, knownHead } from "../store/config-head.ts";
import type { Reader } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import { encodeSnapshotChunk } from "./frames.ts";

/** Everything, at one sequence, encoded. */
export interface Snapshot {
  readonly epoch: string;
  readonly sequence: bigint;
  /** Encoded `WatchConfigResponse`s, at least one. */
  readonly chunks: readonly Uint8Array[];
}

/** Payload bytes of one chunk; grpc-js receives 4 MiB by default. A single larger resource has a chunk of its own. */
const CHUNK_MAX_BYTES = 1_000_000;
/** Rough bytes of a resource beside its payload. */
const OVERHEAD_BYTES = 64;
const PAGE = 5_000;
/** So long a snapshot is handed to everyone who asks: proxies that reconnect together share one. */
const FRESH_MS = 5_000;

/** Snapshots of the current state. */
export interface Snapshots {
  /** One at `sequence` or later, in `epoch`; built when the last one is older than 5 s or than that. */
  get(epoch: string, sequence: bigint): Promise<Snapshot>;
}

/** Builds snapshots, one at a time, and keeps the last. */
export function createSnapshots(store: Store, clock: Clock): Snapshots {
  let last: { readonly snapshot: Snapshot; readonly at: number } | undefined;
  let building: Promise<Snapshot> | undefined;

  async function build(): Promise<Snapshot> {
    const snapshot = await buildSnapshot(store);
    last = { snapshot, at: clock.monotonic() };
    return snapshot;
  }

  return {
    async get(epoch, sequence) {
      const isUsable = (snapshot: Snapshot) => snapshot.epoch === epoch && snapshot.sequence >= sequence;
      const shared = await building?.catch(() => undefined);
      if (shared !== undefined && isUsable(shared)) return shared;
      if (last !== undefined && isUsable(last.snapshot) && clock.monotonic() - last.at < FRESH_MS) return last.snapshot;
      building ??= build().finally(() => {
        building = undefined;
      });
      return building;
    },
  };
}

/** Reads head and resources in one database snapshot, so that they fit, and encodes them. */
export async function buildSnapshot(store: Store): Promise<Snapshot> {
  const { head, resources } = await store.readSnapshot(async (reader) => ({
    head: knownHead(await getConfigHead(reader)),
    resources: await readAll(reader),
  }));
  return { epoch: head.epoch, sequence: head.sequence, chunks: encodeChunks(head, resources) };
}

async function readAll(reader: Reader): Promise<EncodedResource[]> {
  const resources: EncodedResource[] = [];
  for (;;) {
    const page = await readConfigCurrent(reader, resources.at(-1), PAGE);
    for (const resource of page) resources.push(resource);
    if (page.length < PAGE) return resources;
  }
}

function encodeChunks({ sequence, digest }: ConfigHead, resources: readonly EncodedResource[]): Uint8Array[] {
  const parts = splitBySize(resources);
  return parts.map((part, index) =>
    encodeSnapshotChunk({
      sequence,
      index,
      last: index === parts.length - 1,
      totalResources: BigInt(resources.length),
      resources: part,
      stateDigest: digest,
    }),
  );
}

/** At least one part: an empty state is said, not left out. */
function splitBySize(resources: readonly EncodedResource[]): EncodedResource[][] {
  let part: EncodedResource[] = [];
  let bytes = 0;
  const parts = [part];
  for (const resource of resources) {
    const size = resource.payload.length + resource.name.length + OVERHEAD_BYTES;
    if (part.length > 0 && bytes + size > CHUNK_MAX_BYTES) {
      part = [];
      parts.push(part);
      bytes = 0;
    }
    part.push(resource);
    bytes += size;
  }
  return parts;
}
