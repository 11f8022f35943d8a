// Time and order for the explorer: every wait is a step, and a seed says which comes next.

/** Whose timers end with it. */
export interface Owner {
  readonly name: string;
}

/** Numbers from a seed (mulberry32). */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Step {
  readonly what: string;
  readonly run: () => void;
}

/** A clock that moves only when nothing else can happen, or as one more step; and every wait, in the order the seed says. */
export class Scheduler {
  readonly log: string[] = [];
  readonly #random: () => number;
  readonly #ready = new Set<Step>();
  readonly #timers = new Set<Step & { readonly atMs: number; readonly owner: Owner }>();
  nowMs = 1_000_000;

  constructor(random: () => number) {
    this.#random = random;
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** Returns when the schedule says so. */
  pause(what: string): Promise<void> {
    return new Promise((resolve) => this.#ready.add({ what, run: resolve }));
  }

  setTimer(owner: Owner, delayMs: number, callback: () => void): () => void {
    const timer = { what: `timer ${owner.name}`, run: callback, atMs: this.nowMs + Math.max(delayMs, 0), owner };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** A closed tab's timers never fire. */
  dropTimers(owner: Owner): void {
    for (const timer of this.#timers) if (timer.owner === owner) this.#timers.delete(timer);
  }

  /** Does one thing; answers whether there was one. */
  async step(): Promise<boolean> {
    await settled();
    const due = [...this.#timers].sort((a, b) => a.atMs - b.atMs)[0];
    const ready = [...this.#ready];
    const isDue = due !== undefined && due.atMs <= this.nowMs + 50 && this.chance(0.2);
    const takesTimer = due && Number.isFinite(due.atMs) && (ready.length === 0 || isDue);
    if (takesTimer) {
      this.#timers.delete(due);
      this.nowMs = Math.max(this.nowMs, due.atMs);
      this.log.push(`${this.nowMs} ${due.what}`);
      due.run();
      return true;
    }
    const step = ready[this.below(ready.length)];
    if (!step) return false;
    this.#ready.delete(step);
    this.nowMs += this.below(20);
    this.log.push(`${this.nowMs} ${step.what}`);
    step.run();
    return true;
  }
}

/** Everything that needs no further step has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
