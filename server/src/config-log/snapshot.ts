import { setImmediate as nextTurn } from "node:timers/promises";
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

/** Builds snapshots, one at a time, and keeps the last for a moment. */
export function createSnapshots(store: Store): Snapshots {
  let fresh: Snapshot | undefined;
  let building: Promise<Snapshot> | undefined;

  async function build(): Promise<Snapshot> {
    const snapshot = await buildSnapshot(store);
    fresh = snapshot;
    setTimeout(() => {
      if (fresh === snapshot) fresh = undefined;
    }, FRESH_MS).unref();
    return snapshot;
  }

  return {
    async get(epoch, sequence) {
      // One that is being built may have been read too early for this caller.
      await building?.catch(() => {});
      if (fresh !== undefined && fresh.epoch === epoch && fresh.sequence >= sequence) return fresh;
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
  return { epoch: head.epoch, sequence: head.sequence, chunks: await encodeChunks(head, resources) };
}

async function readAll(reader: Reader): Promise<EncodedResource[]> {
  const resources: EncodedResource[] = [];
  for (;;) {
    const page = await readConfigCurrent(reader, resources.at(-1), PAGE);
    for (const resource of page) resources.push(resource);
    if (page.length < PAGE) return resources;
  }
}

/** Other streams have their turn between two chunks: 100,000 resources take a second of CPU. */
async function encodeChunks(
  { sequence, digest }: ConfigHead,
  resources: readonly EncodedResource[],
): Promise<Uint8Array[]> {
  const parts = splitBySize(resources);
  const totalResources = BigInt(resources.length);
  const chunks: Uint8Array[] = [];
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    chunks.push(encodeSnapshotChunk({ sequence, index, last, totalResources, resources: part, stateDigest: digest }));
    await nextTurn();
  }
  return chunks;
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
