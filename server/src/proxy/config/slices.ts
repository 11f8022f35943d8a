import type { Clock } from "../../clock.ts";

/** Work that can be put down between two steps: it yields after each small one. */
export type Steps<T> = Generator<void, T>;

/** Work goes on for so long before requests have their turn. */
const SLICE_MS = 5;

/**
 * Does the work in slices of 5 ms, everything else of the process in between. Small work is done before this returns, and
 * its result returned as it is.
 */
export function inSlices<T>(steps: Steps<T>, clock: Clock): T | Promise<T> {
  const first = slice(steps, clock);
  return first.done === true ? first.value : rest(steps, clock);
}

/** Does the work in one go. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

async function rest<T>(steps: Steps<T>, clock: Clock): Promise<T> {
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    const next = slice(steps, clock);
    if (next.done === true) return next.value;
  }
}

function slice<T>(steps: Steps<T>, clock: Clock): IteratorResult<void, T> {
  const endMs = clock.monotonic() + SLICE_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true || clock.monotonic() >= endMs) return step;
  }
}
