import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Delta } from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { Clock } from "../../clock.ts";
import type { JwksSeed } from "../../jwt/jwks-source.ts";
import type { Log } from "../../log.ts";
import type { SecretText } from "../../model/secret-text.ts";
import type { Random } from "../../random.ts";
import type { SealingKey } from "../../sealing/sealing-key.ts";
import { snapshotKey } from "../../sealing/snapshot-key.ts";
import type { FleetFacts } from "./apply.ts";
import { inSlices } from "./slices.ts";
import { type FileEnd, keyIdOf, PartWriter, readParts } from "./snapshot-file.ts";
import type { HeldState } from "./state.ts";
import {
  baseEndPart,
  deltaPart,
  headPart,
  proofPart,
  resourcesPart,
  type StoredConfig,
  seedsPart,
  storedFrom,
} from "./stored-config.ts";

export const SNAPSHOT_FILE = "config.snapshot";

/** Changes within this time are written together; what a `kill -9` loses, and the stream then sends again. */
const DELAY_MS = 250;
/** After a refusal of the disk the pause doubles up to this. */
const RETRY_MAX_MS = 60_000;
/** Resources are written in parts of about this size: a few milliseconds of work each. */
const PART_BYTES = 64 * 1024;
/** The file is written anew when the changes in it are larger than the rest, and this. */
const CHANGES_MIN_BYTES = 4 * 1024 * 1024;
/** The last proof of being current is written down at most this often. */
const PROOF_MS = 30_000;

/** What is in force, to be written whole. */
export interface Written {
  readonly fleet: FleetFacts;
  readonly state: HeldState;
  readonly jwksSeeds: readonly JwksSeed[];
  readonly provenTimeMs: number;
}

export interface DiskSnapshotOptions {
  readonly dataDir: string;
  /** Opens the file: a stolen volume or backup without it does not. */
  readonly credential: SecretText;
  /** Left by a rotation that was cut short: it may be the one that opens the file. */
  readonly nextCredential?: SecretText | undefined;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined = nothing is in force yet. */
  readonly current: () => Written | undefined;
  /** The disk refused. */
  readonly onFailure: () => void;
}

/**
 * Keeps the configuration on disk: all of it once, then each change behind it. Nobody waits for the disk; what it refuses is
 * tried again, and serving goes on.
 */
export class DiskSnapshot {
  readonly #options: DiskSnapshotOptions;
  readonly #path: string;
  #key: SealingKey;
  #writer: PartWriter | undefined;
  #pending: Uint8Array[] = [];
  #isWholeDue = false;
  #wholeBytes = 0;
  #provenTimeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #pauseMs = DELAY_MS;

  constructor(options: DiskSnapshotOptions) {
    this.#options = options;
    this.#path = join(options.dataDir, SNAPSHOT_FILE);
    this.#key = snapshotKey(options.credential);
  }

  /** Undefined when there is none, or when it does not open: then the proxy waits for its stream. @param empty to be filled */
  async read(empty: HeldState): Promise<StoredConfig | undefined> {
    const { clock, log, random } = this.#options;
    const file = await readFile(this.#path).catch(() => undefined);
    if (file === undefined) return undefined;
    const { nextCredential } = this.#options;
    const nextKey = nextCredential && snapshotKey(nextCredential);
    if (nextKey !== undefined && nextKey.id === keyIdOf(file)) this.#key = nextKey;
    const parts = new EndedParts(readParts(file, this.#key));
    try {
      const stored = await inSlices(storedFrom(parts, empty), clock);
      const { end } = parts;
      if (end !== undefined) {
        this.#writer = await PartWriter.resume(this.#path, this.#key, random, end).catch(() => undefined);
        this.#wholeBytes = end.bytes;
      }
      this.#isWholeDue = this.#writer === undefined;
      this.#provenTimeMs = stored.provenTimeMs;
      return stored;
    } catch (err) {
      log.error(
        { err, path: this.#path },
        "the configuration kept on disk was changed or does not open, and is refused; waiting for the control plane",
      );
      return undefined;
    }
  }

  /** Another whole state is in force. */
  wholeChanged(): void {
    this.#isWholeDue = true;
    this.#pending = [];
    this.#schedule();
  }

  /** @param digest of the state after the change */
  deltaApplied(delta: Delta, digest: Uint8Array): void {
    if (!this.#isWholeDue) this.#pending.push(deltaPart(delta, digest));
    this.#schedule();
  }

  seedsChanged(seeds: readonly JwksSeed[]): void {
    if (!this.#isWholeDue) this.#pending.push(seedsPart(seeds));
    this.#schedule();
  }

  /** What is in force is known to be current; written down now and then. */
  proven(provenTimeMs: number): void {
    if (provenTimeMs - this.#provenTimeMs < PROOF_MS) return;
    this.#provenTimeMs = provenTimeMs;
    if (!this.#isWholeDue) this.#pending.push(proofPart(provenTimeMs));
    this.#schedule();
  }

  /** Writes everything anew under another credential; whether the disk took it. */
  async reseal(credential: SecretText): Promise<boolean> {
    this.#key = snapshotKey(credential);
    if (this.#options.current() === undefined) return true;
    this.wholeChanged();
    await this.flush();
    return !this.#isWholeDue;
  }

  /** Writes what has changed; resolves when the disk has it, or has refused. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
    if (this.#isWholeDue || this.#pending.length > 0) this.#schedule();
  }

  /** Writes the rest and lets go of the file. */
  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
    await this.#writer?.close().catch(() => undefined);
  }

  #schedule(): void {
    if (this.#writing === undefined) this.#timer ??= setTimeout(() => void this.flush(), this.#pauseMs);
  }

  async #write(): Promise<void> {
    const { log, onFailure } = this.#options;
    try {
      if (this.#isWholeDue || this.#writer === undefined) await this.#writeWhole();
      await this.#append();
      if (this.#pauseMs > DELAY_MS) log.info({}, "the configuration is kept on disk again");
      this.#pauseMs = DELAY_MS;
    } catch (err) {
      onFailure();
      if (this.#pauseMs === DELAY_MS)
        log.error(
          { err },
          "the configuration cannot be kept on disk: after a restart this proxy may need a control plane",
        );
      this.#pauseMs = Math.min(RETRY_MAX_MS, 4 * this.#pauseMs);
      await this.#begunAnew();
    }
  }

  /** Changes that come meanwhile stand behind it. */
  async #writeWhole(): Promise<void> {
    const current = this.#options.current();
    const cursor = current?.state.cursor;
    if (current === undefined || cursor === undefined) return;
    const { fleet, state, jwksSeeds, provenTimeMs } = current;
    this.#pending = [];
    this.#isWholeDue = false;
    await this.#writer?.close();
    this.#writer = undefined;
    const writer = await PartWriter.begin(this.#path, this.#key, this.#options.random);
    try {
      await writer.write([headPart(fleet, cursor), seedsPart(jwksSeeds), proofPart(provenTimeMs)]);
      for (const part of resourceParts(state)) await writer.write([part]);
      await writer.write([baseEndPart(cursor), ...this.#pending.splice(0)]);
      await writer.publish(this.#path);
    } catch (cause) {
      await writer.close().catch(() => undefined);
      throw cause;
    }
    this.#writer = writer;
    this.#wholeBytes = writer.bytes;
  }

  async #append(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined || this.#isWholeDue || this.#pending.length === 0) return;
    await writer.write(this.#pending.splice(0));
    await writer.sync();
    if (writer.bytes - this.#wholeBytes > Math.max(CHANGES_MIN_BYTES, this.#wholeBytes)) this.wholeChanged();
  }

  /** The file may end in half a part: nothing is written behind that. */
  async #begunAnew(): Promise<void> {
    await this.#writer?.close().catch(() => undefined);
    this.#writer = undefined;
    this.#isWholeDue = true;
    this.#pending = [];
  }
}

function* resourceParts(state: HeldState): Iterable<Uint8Array> {
  let [resources, bytes]: [Parameters<typeof resourcesPart>[0][number][], number] = [[], 0];
  for (const resource of state.resources()) {
    resources.push(resource);
    bytes += resource.payload.length + resource.name.length;
    if (bytes < PART_BYTES) continue;
    yield resourcesPart(resources);
    [resources, bytes] = [[], 0];
  }
  if (resources.length > 0) yield resourcesPart(resources);
}

/** Parts, and where they ended. */
class EndedParts implements Iterable<Uint8Array> {
  readonly #parts: Generator<Uint8Array, FileEnd>;
  end: FileEnd | undefined;

  constructor(parts: Generator<Uint8Array, FileEnd>) {
    this.#parts = parts;
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    this.end = yield* this.#parts;
  }
}
