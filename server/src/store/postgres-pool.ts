import type { PostgresConnection } from "./postgres-connection.ts";

/** Nobody needs a connection for longer: the other side is gone without a word, which TCP would notice after minutes. */
const LOAN_MAX_MS = 30_000;

/** A fixed number of connections, each lent to one at a time; lost ones are replaced. */
export interface PostgresPool {
  /** Lends a connection to `fn`, when one is free. */
  use<T>(fn: (connection: PostgresConnection) => Promise<T>): Promise<T>;
  /** Refuses everyone from now on, waits for those at work a little, ends all connections. */
  close(): Promise<void>;
}

/** A pool over connections that are made when first lent: the last given back is lent first, so few may do. */
export function createPool(make: () => PostgresConnection, size: number): PostgresPool {
  const all = new Set(Array.from({ length: size }, make));
  const idle = [...all];
  const waiting: ((connection: PostgresConnection) => void)[] = [];
  let isClosed = false;

  async function take(): Promise<PostgresConnection> {
    if (isClosed) throw Object.assign(new Error("the pool is closed"), { code: "CONNECTION_ENDED" });
    const connection = idle.pop();
    if (connection === undefined) return new Promise((resolve) => waiting.push(resolve));
    return connection.isLost ? replace(connection) : connection;
  }

  function giveBack(connection: PostgresConnection): void {
    const sound = connection.isLost && !isClosed ? replace(connection) : connection;
    const next = waiting.shift();
    if (next === undefined) idle.push(sound);
    else next(sound);
  }

  function replace(lost: PostgresConnection): PostgresConnection {
    all.delete(lost);
    lost.end().catch(() => {});
    const fresh = make();
    all.add(fresh);
    return fresh;
  }

  return {
    async use(fn) {
      const connection = await take();
      const overdue = setTimeout(() => {
        connection.discard();
        connection.end().catch(() => {});
      }, LOAN_MAX_MS);
      try {
        await connection.connect();
        return await fn(connection);
      } finally {
        clearTimeout(overdue);
        giveBack(connection);
      }
    },
    async close() {
      isClosed = true;
      await Promise.all([...all].map((connection) => connection.end()));
    },
  };
}
