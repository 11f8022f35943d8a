import { ConduitError } from "../../model/errors.ts";
import type { CreateUpstreamClient, UpstreamClient, UpstreamOrigin } from "../../outbound/upstream-client.ts";

/** Connections to one target at the same time; contract.md 8. */
const SOCKETS_MAX = 256;
/** Requests that may wait for one of them. Beyond, waiting would only add to the overload. */
const WAITING_MAX = 256;

/** One connection of a pool, held by at most one exchange. */
export interface PoolSlot {
  readonly client: UpstreamClient;
  /** Requests sent on the socket that is open now: above 0, the upstream may just be closing it for idleness. */
  requestsOnSocket: number;
  isConnected: boolean;
  isIdle: boolean;
}

type Waiter = (slot: PoolSlot | ConduitError) => void;

/** The connections to one target. Takes the slot used last first, so that surplus sockets fall idle and close. */
export class UpstreamPool {
  readonly #create: () => UpstreamClient;
  readonly #waitMaxMs: number;
  readonly #slots = new Set<PoolSlot>();
  readonly #idle: PoolSlot[] = [];
  readonly #waiting = new Set<Waiter>();
  readonly #socketsMax: number;

  constructor(target: UpstreamOrigin, create: CreateUpstreamClient, socketsMax = SOCKETS_MAX) {
    this.#create = () => create(target);
    this.#waitMaxMs = target.connectTimeoutMs;
    this.#socketsMax = socketsMax;
  }

  /** Whether nothing is open and nobody waits. */
  get isEmpty(): boolean {
    return this.#slots.size === 0 && this.#waiting.size === 0;
  }

  /** A slot that is free now; undefined when all are taken. */
  take(): PoolSlot | undefined {
    const slot = this.#idle.pop();
    if (slot !== undefined) {
      slot.isIdle = false;
      return slot;
    }
    return this.#slots.size < this.#socketsMax ? this.#open() : undefined;
  }

  /**
   * As `take`, but with a connection of its own if one may be opened: for the second try, since what closed one idle
   * connection (the upstream's restart) has likely closed them all.
   */
  takeNew(): PoolSlot | undefined {
    return this.#slots.size < this.#socketsMax ? this.#open() : this.take();
  }

  /**
   * The next slot that becomes free, first come, first served. Rejects with `upstream_overloaded` when too many wait, or
   * when none is free within the connect timeout.
   */
  wait(): Promise<PoolSlot> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= WAITING_MAX) return reject(new ConduitError("upstream_overloaded"));
      const timer = setTimeout(() => waiter(new ConduitError("upstream_overloaded")), this.#waitMaxMs);
      const waiter: Waiter = (slot) => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        if (slot instanceof ConduitError) reject(slot);
        else resolve(slot);
      };
      this.#waiting.add(waiter);
    });
  }

  /** Gives a slot back; its exchange is over. */
  release(slot: PoolSlot): void {
    const [next] = this.#waiting;
    if (next !== undefined) {
      next(slot);
      return;
    }
    if (!slot.isConnected) {
      this.#close(slot);
      return;
    }
    slot.isIdle = true;
    this.#idle.push(slot);
  }

  /** Ends every connection; who waits is refused. */
  async destroy(): Promise<void> {
    for (const waiter of this.#waiting) waiter(new ConduitError("not_ready"));
    await Promise.all([...this.#slots].map(({ client }) => client.destroy()));
  }

  #open(): PoolSlot {
    const slot: PoolSlot = { client: this.#create(), requestsOnSocket: 0, isConnected: false, isIdle: false };
    this.#slots.add(slot);
    slot.client.on("connect", () => {
      slot.isConnected = true;
    });
    slot.client.on("disconnect", () => {
      slot.isConnected = false;
      slot.requestsOnSocket = 0;
      // Memory follows sockets: a slot whose connection closed while nobody held it is gone.
      if (slot.isIdle) this.#close(slot);
    });
    return slot;
  }

  #close(slot: PoolSlot): void {
    this.#slots.delete(slot);
    const at = this.#idle.indexOf(slot);
    if (at >= 0) this.#idle.splice(at, 1);
    slot.client.destroy().catch(() => undefined);
  }
}
