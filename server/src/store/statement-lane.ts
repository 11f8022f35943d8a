/** Hands statements to one connection. */
export interface StatementLane {
  /**
   * Runs a statement: at once beside others that the server knows by name, else when all those before it have ended.
   * @param name its SQL when it is prepared by name; undefined = it is not
   */
  run<T>(name: string | undefined, send: () => Promise<T>): Promise<T>;
}

/**
 * Sends together what can be sent together. postgres.js queues what comes while a statement is described for the first
 * time, and when the connection is lost meanwhile it runs the queue on a new one: the rest of a transaction would be done
 * outside of it. So it is never given what it would queue.
 */
export function createStatementLane(): StatementLane {
  const known = new Set<string>();
  /** The last statement that others must wait for. */
  let barrier: Promise<unknown> = Promise.resolve();
  let isBarred = false;
  const running = new Set<Promise<unknown>>();

  async function alone<T>(before: Promise<unknown>, send: () => Promise<T>): Promise<T> {
    await before;
    await Promise.allSettled([...running]);
    return send();
  }

  function track<T>(started: Promise<T>): Promise<T> {
    running.add(started);
    const forget = () => void running.delete(started);
    started.then(forget, forget);
    return started;
  }

  return {
    async run(name, send) {
      if (name !== undefined && known.has(name) && !isBarred) return track(send());
      const started = isBarred || running.size > 0 ? alone(barrier, send) : send();
      const settled = started.then(
        () => {},
        () => {},
      );
      isBarred = true;
      barrier = settled;
      try {
        const result = await started;
        if (name !== undefined) known.add(name);
        return result;
      } finally {
        if (barrier === settled) isBarred = false;
      }
    },
  };
}
