import { setImmediate as nextTurn } from "node:timers/promises";

/** Whether frames are being sent: what is committed meanwhile goes out together afterwards. */
export interface Pace {
  /** A reader has something to send; returns what says that it has sent it (more calls do nothing). */
  sending(): () => void;
  /** Resolves when all readers have sent what they had, or after 20 ms: at once when there are none. */
  sent(): Promise<void>;
}

/** A change waits no longer for others than this. */
const COALESCE_MAX_MS = 20;

export function createPace(): Pace {
  let count = 0;
  let done = Promise.withResolvers<void>();
  return {
    sending() {
      let isSending = true;
      count += 1;
      return () => {
        if (!isSending) return;
        isSending = false;
        count -= 1;
        if (count > 0) return;
        done.resolve();
        done = Promise.withResolvers();
      };
    },
    async sent() {
      // Readers have been woken, and take their frames in this turn.
      await nextTurn();
      if (count === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, COALESCE_MAX_MS);
      await Promise.race([done.promise, promise]);
      clearTimeout(timer);
    },
  };
}
