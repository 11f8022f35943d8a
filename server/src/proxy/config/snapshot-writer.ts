import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";

/** Changes within this time are written together. */
const DELAY_MS = 250;
/** The disk is busy with snapshots for at most a tenth of the time, however large they are. */
const DUTY = 10;

/** Writes the configuration to disk soon after it changed, one write at a time. */
export class SnapshotWriter {
  readonly #write: () => Promise<void>;
  readonly #clock: Clock;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #isDirty = false;
  #pauseMs = DELAY_MS;

  constructor(write: () => Promise<void>, clock: Clock, log: Log) {
    this.#write = write;
    this.#clock = clock;
    this.#log = log;
  }

  /** Something changed. */
  schedule(): void {
    this.#isDirty = true;
    if (this.#writing === undefined) this.#timer ??= setTimeout(() => void this.flush(), this.#pauseMs);
  }

  /** Writes now what has changed; resolves when the disk has it, or has refused. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.#writing = this.#writeOnce();
    await this.#writing;
    this.#writing = undefined;
    if (this.#isDirty) this.schedule();
  }

  async #writeOnce(): Promise<void> {
    const startMs = this.#clock.monotonic();
    try {
      await this.#write();
    } catch (err) {
      this.#log.error(
        { err },
        "the configuration cannot be kept on disk: after a restart this proxy needs a control plane",
      );
    }
    this.#pauseMs = Math.max(DELAY_MS, DUTY * (this.#clock.monotonic() - startMs));
  }
}
