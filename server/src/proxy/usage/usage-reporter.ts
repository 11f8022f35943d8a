import type { Log } from "../../log.ts";
import type { Random } from "../../random.ts";
import type { UsageCounter, UsageIncrement } from "./usage-counter.ts";

/** Increments under an id by which the control plane counts them once, however often they are sent. */
export interface UsageBatch {
  readonly batchId: string;
  readonly increments: readonly UsageIncrement[];
}

/** Sends one batch; rejects when it was not acknowledged. */
export type SendUsage = (batch: UsageBatch) => Promise<void>;

const INTERVAL_MS = 2_000;
/** Batches kept while the control plane is away: half an hour at one batch every 2 s. Beyond, the oldest are lost. */
const BATCHES_MAX = 900;

/** Reports what was counted every 2 s, oldest first; what is not acknowledged is kept and sent again (design.md 10). */
export class UsageReporter {
  readonly #counter: UsageCounter;
  readonly #random: Random;
  readonly #log: Log;
  readonly #send: SendUsage;
  readonly #unacknowledged: UsageBatch[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #lostRequests = 0;

  constructor(counter: UsageCounter, send: SendUsage, random: Random, log: Log) {
    this.#counter = counter;
    this.#send = send;
    this.#random = random;
    this.#log = log;
  }

  /** Requests whose count was given up because the control plane was away too long. */
  get lostRequests(): number {
    return this.#lostRequests;
  }

  start(): void {
    this.#timer = setInterval(() => void this.flush(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Sends what is waiting and what was counted since; resolves when all is acknowledged or the first attempt failed. */
  flush(): Promise<void> {
    this.#collect();
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  /** Stops the clock and sends the rest once. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
    await this.flush();
    const rest = this.#unacknowledged.length;
    if (rest > 0)
      this.#log.warn({ batches: rest, requests: sumOf(this.#unacknowledged) }, "usage could not be reported");
  }

  #collect(): void {
    const increments = this.#counter.take();
    if (increments === undefined) return;
    this.#unacknowledged.push({ batchId: this.#random.uuid(), increments });
    const surplus = this.#unacknowledged.splice(0, Math.max(0, this.#unacknowledged.length - BATCHES_MAX));
    if (surplus.length === 0) return;
    this.#lostRequests += sumOf(surplus);
    this.#log.warn(
      { lost_requests: this.#lostRequests },
      "usage is being lost: the control plane has been away too long",
    );
  }

  async #sendAll(): Promise<void> {
    for (let batch = this.#unacknowledged[0]; batch !== undefined; batch = this.#unacknowledged[0]) {
      try {
        await this.#send(batch);
      } catch (err) {
        this.#log.debug({ err }, "usage was not acknowledged; it is kept");
        return;
      }
      if (this.#unacknowledged[0] === batch) this.#unacknowledged.shift();
    }
  }
}

const sumOf = (batches: readonly UsageBatch[]): number =>
  batches.flatMap(({ increments }) => increments).reduce((sum, { requests }) => sum + requests, 0);
