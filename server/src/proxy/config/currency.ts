import type { Clock } from "../../clock.ts";

/**
 * How current the configuration in force is. It is proven current when the control plane says that the head of its log is
 * what is applied, and by each change as of its commit. A proxy that is cut off grows old, whatever its connection says.
 */
export class Currency {
  readonly #clock: Clock;
  /** On the monotonic clock: a jump of the wall clock makes nothing older or younger. */
  #provenMs: number | undefined;
  #head = 0n;
  #applied = 0n;
  #delayMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Since the last proof; Infinity = there was none. */
  ageMs(): number {
    return this.#provenMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.monotonic() - this.#provenMs;
  }

  /** Wall clock of the last proof, for the disk; undefined = there was none. */
  provenTimeMs(): number | undefined {
    return this.#provenMs === undefined ? undefined : this.#clock.now() - this.ageMs();
  }

  /** Changes that are known of and not applied. */
  lagSequences(): number {
    return this.#head > this.#applied ? Number(this.#head - this.#applied) : 0;
  }

  /** From the commit of the last change to its being in force, by both machines' clocks; at least 0. */
  delayMs(): number {
    return this.#delayMs;
  }

  /** The control plane says where the head of its log is. */
  headIs(sequence: bigint): void {
    this.#head = sequence;
  }

  /** A whole state is in force. */
  appliedUpTo(sequence: bigint): void {
    this.#applied = sequence;
    if (sequence >= this.#head) this.proven();
  }

  /** A change is in force. @param commitTimeMs by the control plane's clock; undefined = not said */
  delta(sequence: bigint, commitTimeMs: number | undefined): void {
    this.#applied = sequence;
    if (sequence > this.#head) this.#head = sequence;
    if (commitTimeMs === undefined) return;
    this.#delayMs = Math.max(0, this.#clock.now() - commitTimeMs);
    const provenMs = this.#clock.monotonic() - this.#delayMs;
    this.#provenMs = Math.max(this.#provenMs ?? provenMs, provenMs);
  }

  /** What is applied is the head of the log, now. */
  proven(): void {
    this.#applied = this.#head;
    this.#provenMs = this.#clock.monotonic();
  }

  /** A state from disk is in force. @param provenTimeMs wall clock; one ahead of ours counts as now */
  restored(sequence: bigint, provenTimeMs: number): void {
    this.#applied = sequence;
    this.#head = sequence;
    this.#provenMs = this.#clock.monotonic() - Math.max(0, this.#clock.now() - provenTimeMs);
  }
}
