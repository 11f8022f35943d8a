import { systemClock } from "../clock.ts";
import { makePrivateDirectory } from "../key-file.ts";
import { systemRandom } from "../random.ts";
import { databaseSettings, type Environment } from "../settings.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import { locationOf } from "./server.ts";

/**
 * Opens the database for a `--local` command and closes it after. With PGlite the server must be stopped.
 * @throws ExitError (3) when the data directory is in use
 */
export async function withLocalStore<T>(
  dataDir: string,
  environment: Environment,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const database = databaseSettings(environment);
  if (database === undefined) makePrivateDirectory(dataDir);
  const location = locationOf({ dataDir, ...(database !== undefined && { database }) });
  const store = await openStore(location, { clock: systemClock, random: systemRandom });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
