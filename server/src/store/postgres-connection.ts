import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import type { Database } from "./database.ts";

/** A statement, a wait for a lock, a transaction left open: none may hold others up for longer. */
const SESSION = {
  application_name: "conduit-server",
  statement_timeout: 15_000,
  lock_timeout: 10_000,
  idle_in_transaction_session_timeout: 20_000,
};
const CONNECT_TIMEOUT_MS = 5_000;
const END_TIMEOUT_S = 5;

/**
 * One connection to PostgreSQL, made once, never made again. postgres.js keeps pools that reconnect by
 * themselves, and there a connection lost inside `begin` or `reserve` ends the process with an uncaught TypeError, or runs
 * the rest of the transaction on a new connection, outside of it (porsager/postgres #1208, #1155; seen in our test).
 */
export interface PostgresConnection {
  /** Whether it has been lost or must not be used again. */
  readonly isLost: boolean;
  /** Makes the connection, unless it is made. @throws the driver's error, within 5 s */
  connect(): Promise<void>;
  /**
   * A database that works until the connection is lost or `mayRun`, asked before each statement, says no: whoever keeps it
   * longer writes nowhere.
   */
  database(mayRun: () => boolean): Database;
  /** Runs a statement without parameters, returns the server's word for what it did (`COMMIT`). */
  command(text: string): Promise<string>;
  /** Marks it as lost. */
  discard(): void;
  end(): Promise<void>;
}

export interface ConnectionCallbacks {
  readonly onNotify?: () => void;
  readonly onLost?: () => void;
}

/** Prepares a connection. */
export function createConnection(url: string, callbacks: ConnectionCallbacks = {}): PostgresConnection {
  let isLost = false;
  const options = {
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_MS / 1_000,
    idle_timeout: 0,
    max_lifetime: null,
    fetch_types: false,
    connection: SESSION,
    onnotice: () => {},
    // Not in its types; `listen()` uses it, and reconnects behind our back.
    onnotify: () => callbacks.onNotify?.(),
    onclose: () => {
      isLost = true;
      callbacks.onLost?.();
    },
  };
  const client = postgres(url, options);
  let connecting: Promise<void> | undefined;

  const refuse = (): never => {
    throw connectionError("CONNECTION_CLOSED");
  };
  async function connect(): Promise<void> {
    const deadline = Promise.withResolvers<never>();
    const timer = setTimeout(() => deadline.reject(connectionError("CONNECT_TIMEOUT")), CONNECT_TIMEOUT_MS);
    try {
      // The driver tries for ever, without a word, when the other side accepts and hangs up: a balancer without a server.
      await Promise.race([client.unsafe("select 1"), deadline.promise]);
    } catch (error) {
      isLost = true;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    get isLost() {
      return isLost;
    },
    connect() {
      connecting ??= connect();
      return connecting;
    },
    database(mayRun) {
      const unsafe: typeof client.unsafe = (...args) => (isLost || !mayRun() ? refuse() : client.unsafe(...args));
      // drizzle asks of a client no more than this.
      return drizzle({ options: client.options, unsafe } as typeof client) as unknown as Database;
    },
    command: async (text) => (isLost ? refuse() : (await client.unsafe(text)).command),
    discard() {
      isLost = true;
    },
    end: () => client.end({ timeout: isLost ? 0 : END_TIMEOUT_S }),
  };
}

const connectionError = (code: string): Error => Object.assign(new Error(`the connection failed: ${code}`), { code });
