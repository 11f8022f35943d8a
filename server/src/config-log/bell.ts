/** Wakes everyone who waits at the moment it rings. */
export interface Bell {
  ring(): void;
  /** Resolves at the next ring, or when the signal aborts. Look at the state right before calling: no ring is remembered. */
  wait(signal: AbortSignal): Promise<void>;
}

export function createBell(): Bell {
  const waiters = new Set<() => void>();
  return {
    ring() {
      for (const wake of [...waiters]) wake();
    },
    wait: (signal) =>
      new Promise((resolve) => {
        function wake(): void {
          waiters.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        }
        if (signal.aborted) return resolve();
        waiters.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      }),
  };
}
