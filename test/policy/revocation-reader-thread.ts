// Thread: looks the same tokens up over and over while another thread changes the table.
import { parentPort, workerData } from "node:worker_threads";
import { RevocationReader, type SharedRevocations } from "../../server/src/policy/revocation-table.ts";

export interface ReaderOrder {
  readonly memory: SharedRevocations;
  /** Revoked throughout. */
  readonly revoked: Uint8Array;
  /** Never revoked. */
  readonly valid: Uint8Array;
  /** Not 0 = enough. */
  readonly stop: Int32Array;
}

export interface ReaderAnswer {
  readonly rounds: number;
  readonly missed: number;
  readonly invented: number;
}

const { memory, revoked, valid, stop } = workerData as ReaderOrder;
const reader = new RevocationReader(memory);
let [rounds, missed, invented] = [0, 0, 0];
parentPort?.postMessage("ready");
while (Atomics.load(stop, 0) === 0) {
  rounds += 1;
  if (!reader.isRevoked(() => revoked, undefined, 0)) missed += 1;
  if (reader.isRevoked(() => valid, undefined, 0)) invented += 1;
}
parentPort?.postMessage({ rounds, missed, invented } satisfies ReaderAnswer);
