import { setImmediate as nextTurn } from "node:timers/promises";
import type { EncodedResource } from "../model/config-digest.ts";
import { countConfigCurrent, scanConfigCurrent } from "../store/config-current.ts";
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
/** Resources of one chunk: encoding them is one turn of the event loop. */
const CHUNK_MAX_RESOURCES = 5_000;
/** Rough bytes of a resource beside its payload. */
const OVERHEAD_BYTES = 64;
/** Rows read at once: held as rows beside the encoded chunks, and decoded in one turn of the event loop. */
const PAGE = 2_000;

/**
 * Reads head and resources in one state of the database, so that they fit, page by page, and encodes each page as it
 * comes: beside the result there is never more than a page and a chunk in memory.
 */
export function buildSnapshot(store: Store): Promise<Snapshot> {
  return store.readSnapshot(async (reader) => {
    const head = knownHead(await getConfigHead(reader));
    const total = await countConfigCurrent(reader);
    return { epoch: head.epoch, sequence: head.sequence, chunks: await encodeAll(reader, head, total) };
  });
}

/** At least one chunk: an empty state is said, not left out. */
async function encodeAll(reader: Reader, { sequence, digest }: ConfigHead, total: number): Promise<Uint8Array[]> {
  const values = { sequence, totalResources: BigInt(total), countedResources: BigInt(total), stateDigest: digest };
  const chunks: Uint8Array[] = [];
  let taken = 0;
  let part: EncodedResource[] = [];
  let bytes = 0;
  const close = (last: boolean): void => {
    chunks.push(encodeSnapshotChunk({ ...values, index: chunks.length, last, resources: part }));
    part = [];
    bytes = 0;
  };
  for await (const page of scanConfigCurrent(reader, PAGE)) {
    for (const resource of page) {
      const size = resource.payload.length + resource.name.length + OVERHEAD_BYTES;
      const isFull = part.length === CHUNK_MAX_RESOURCES || bytes + size > CHUNK_MAX_BYTES;
      if (part.length > 0 && isFull) {
        close(false);
        await nextTurn();
      }
      part.push(resource);
      bytes += size;
    }
    taken += page.length;
  }
  if (taken !== total) throw new TypeError("the configuration changed under its own snapshot");
  close(true);
  return chunks;
}
