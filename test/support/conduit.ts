// Conduit processes for tests: whatever a test file started and did not stop is killed when the file ends.
// `runConduit` for commands that end by themselves is in conduit-process.ts.
import { afterAll } from "vitest";
import { type ConduitOptions, type ConduitProcess, type LongRunning, launchConduit } from "./conduit-process.ts";
import { createDatabase } from "./postgres.ts";

/** `CONDUIT_TEST_DATABASE=postgres` runs the same tests on PostgreSQL; else `server` keeps its own PGlite, as `dev` always does. */
export const isOnPostgres = process.env.CONDUIT_TEST_DATABASE === "postgres";

const running = new Set<ConduitProcess>();

afterAll(async () => {
  await Promise.all([...running].map((it) => it.stop("SIGKILL")));
});

/**
 * Starts `dev`, `server` or `proxy` on free ports and waits for `conduit ready`. On PostgreSQL a `server` gets a
 * new database unless `env.DATABASE_URL` names one. `await using conduit = await startConduit("dev")` stops it at the end of the block.
 */
export async function startConduit(command: LongRunning, options: ConduitOptions = {}): Promise<ConduitProcess> {
  const needsDatabase = isOnPostgres && command === "server" && options.env?.DATABASE_URL === undefined;
  const env = { ...(needsDatabase && { DATABASE_URL: await createDatabase() }), ...options.env };
  const conduit = await launchConduit(command, { ...options, env });
  running.add(conduit);
  const forget = () => running.delete(conduit);
  conduit.exited.then(forget, forget);
  return conduit;
}
