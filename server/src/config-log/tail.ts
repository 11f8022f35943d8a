import { EMPTY_DIGEST } from "../model/config-digest.ts";
import type { ConfigHead } from "../store/config-head.ts";
import { type ConfigTransaction, configDigestAt, readConfigTransactions } from "../store/config-log.ts";
import { type EpochEffects, ensureHead, followedHead } from "./epoch.ts";
import type { LogPosition } from "./ring.ts";

/** Who follows the log. */
export interface Follower {
  /** The log begins here for you: at the start, and again with each new epoch. */
  begin(head: ConfigHead, from: LogPosition): void;
  /** The next transactions, in order; at least one. */
  append(transactions: readonly ConfigTransaction[]): void;
  /** Nothing new, the head as it is. */
  see(head: ConfigHead): void;
  /** Resolves when the log may be read again: what comes before that is read together. */
  ready(): Promise<void>;
}

/** Reads the log in order. */
export interface Tail {
  /** First read: makes the head if there is none. */
  start(): Promise<void>;
  /** Reads on until the end; resolves when everything committed before the call has been handed on. */
  catchUp(): Promise<void>;
}

/** Transactions read again on start, so that proxies which reconnect to a restarted replica can resume. */
const WARM_UP = 2_000;
const PAGE = 500;

/** What the tail needs. `epochBegins`: told of each epoch it has read, before anybody else is. */
export interface TailEffects extends EpochEffects {
  epochBegins(): Promise<void>;
}

/** Follows the log from a little before its end. Never hands on a transaction twice, out of order or with one missing. */
export function createTail(effects: TailEffects, follower: Follower): Tail {
  const { store } = effects;
  let epoch = "";
  let position: LogPosition = { sequence: 0n, digest: EMPTY_DIGEST };
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  /** Frames are being sent until then: who asks meanwhile shares the pass after it. */
  let rest = Promise.resolve();
  let isResting = false;

  async function begin(head: ConfigHead): Promise<void> {
    const from = await startingPoint(effects, head);
    await effects.epochBegins();
    epoch = head.epoch;
    position = from;
    follower.begin(head, from);
    await readTo(head);
  }

  async function readTo(head: ConfigHead): Promise<void> {
    while (position.sequence < head.sequence) {
      const after = position.sequence;
      const transactions = await store.read((reader) => readConfigTransactions(reader, after, PAGE));
      const last = transactions.at(-1);
      if (last === undefined) throw new Error(`the config log does not go on after ${after}`);
      follower.append(transactions);
      position = last;
    }
    follower.see(head);
  }

  async function pass(): Promise<void> {
    const head = await followedHead(effects, epoch, position);
    // Compacted away under a replica that could not read for days: its readers come back and take a snapshot.
    const isCut = position.sequence < head.compactedSequence;
    if (head.epoch === epoch && !isCut) await readTo(head);
    else await begin(head);
  }

  async function run(): Promise<void> {
    await rest;
    isResting = false;
    const before = position;
    await pass();
    if (position !== before) rest = follower.ready();
  }

  function catchUp(): Promise<void> {
    if (running === undefined) {
      isResting = true;
      running = run().finally(() => {
        running = undefined;
      });
    }
    if (isResting) return running;
    // The pass that runs may have read too early for this caller: one more, shared by all who ask meanwhile.
    next ??= running
      .catch(() => {})
      .then(() => {
        next = undefined;
        return catchUp();
      });
    return next;
  }

  return { start: async () => begin(await ensureHead(effects)), catchUp };
}

/** A place before the head whose digest is known; the head itself when there is no other. */
async function startingPoint({ store }: EpochEffects, head: ConfigHead): Promise<LogPosition> {
  const wanted = head.sequence - BigInt(WARM_UP);
  const sequence = wanted > head.compactedSequence ? wanted : head.compactedSequence;
  if (sequence === 0n) return { sequence, digest: EMPTY_DIGEST };
  const digest = await store.read((reader) => configDigestAt(reader, sequence));
  return digest === undefined ? { sequence: head.sequence, digest: head.digest } : { sequence, digest };
}
