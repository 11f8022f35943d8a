import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import type { Database } from "./database.ts";
import { createStatementLane } from "./statement-lane.ts";

/** A statement, a wait for a lock, a transaction left open: none may hold others up for longer. */
const TIMEOUTS = { statement_timeout: 15_000, lock_timeout: 10_000, idle_in_transaction_session_timeout: 20_000 };
const NAME = { application_name: "conduit-server" };

/** The same for one transaction: a pooler's connections belong to nobody, and it refuses settings of a session. */
const SET_TIMEOUTS = Object.entries(TIMEOUTS)
  .map(([name, value]) => `set local ${name} = ${value}`)
  .join("; ");

/** The way to a server. */
export interface PostgresRoute {
  readonly url: string;
  /** Whether a pooler stands in between that gives connections by transaction (PgBouncer). */
  readonly isPooled: boolean;
}

/** What begins a transaction, with the bounds of its statements. */
export const beginningOf = ({ isPooled }: PostgresRoute, begin: string): string =>
  isPooled ? `${begin}; ${SET_TIMEOUTS}` : begin;

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
export function createConnection(route: PostgresRoute, callbacks: ConnectionCallbacks = {}): PostgresConnection {
  let isLost = false;
  const options = {
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_MS / 1_000,
    idle_timeout: 0,
    max_lifetime: null,
    fetch_types: false,
    connection: route.isPooled ? NAME : { ...NAME, ...TIMEOUTS },
    // A statement that is prepared by name is unknown to the connection of the next transaction.
    prepare: !route.isPooled,
    onnotice: () => {},
    // Not in its types; `listen()` uses it, and reconnects behind our back.
    onnotify: () => callbacks.onNotify?.(),
    onclose: () => {
      isLost = true;
      callbacks.onLost?.();
    },
  };
  const client = postgres(route.url, options);
  const lane = createStatementLane();
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
      const unsafe = (text: string, values: never[], { prepare = false }: { prepare?: boolean } = {}) => {
        if (isLost || !mayRun()) refuse();
        const send = () => (isLost ? refuse() : client.unsafe(text, values, { prepare }));
        const name = prepare && !route.isPooled ? text : undefined;
        return statementOf((isArrays) => lane.run(name, async () => (isArrays ? send().values() : send())));
      };
      // drizzle asks of a client no more than this.
      const asked = { options: client.options, unsafe } as unknown as typeof client;
      return drizzle(asked) as unknown as Database;
    },
    command: async (text) => (isLost ? refuse() : (await client.unsafe(text)).command),
    discard() {
      isLost = true;
    },
    end: () => client.end({ timeout: isLost ? 0 : END_TIMEOUT_S }),
  };
}

/** What drizzle awaits: rows as objects, or after `values()` as arrays. */
const statementOf = (run: (isArrays: boolean) => Promise<unknown>) => ({
  values: () => run(true),
  // biome-ignore lint/suspicious/noThenProperty: drizzle awaits the statement itself
  then: (...callbacks: Parameters<Promise<unknown>["then"]>) => run(false).then(...callbacks),
});

const connectionError = (code: string): Error => Object.assign(new Error(`the connection failed: ${code}`), { code });
