import { createConnection, type PostgresConnection } from "./postgres-connection.ts";
import { WAKE_CHANNEL } from "./wake-channel.ts";

/** Pause before a lost listener tries again; meanwhile changes are found by looking. */
const RETRY_MS = 500;

/** Hears notifications on a connection of its own, for ever. */
export interface PostgresListener {
  stop(): Promise<void>;
}

/**
 * Listens for changes of the configuration. Each time it has begun to listen it calls `wake` too: what was sent while
 * nobody listened is lost. @param url straight to PostgreSQL: a pooler would keep the notifications. @throws the driver's error when the first attempt fails
 */
export async function startListener(url: string, wake: () => void): Promise<PostgresListener> {
  let connection = connect();
  let retry: NodeJS.Timeout | undefined;
  let isStopped = false;

  function connect(): PostgresConnection {
    return createConnection({ url, isPooled: false }, { onNotify: wake, onLost: () => again() });
  }
  async function listen(): Promise<void> {
    await connection.connect();
    await connection.command(`listen ${WAKE_CHANNEL}`);
    wake();
  }
  function again(): void {
    if (isStopped || retry !== undefined) return;
    retry = setTimeout(() => {
      retry = undefined;
      connection.end().catch(() => {});
      connection = connect();
      listen().catch(() => again());
    }, RETRY_MS);
    retry.unref();
  }

  await listen();
  return {
    async stop() {
      isStopped = true;
      clearTimeout(retry);
      await connection.end();
    },
  };
}
