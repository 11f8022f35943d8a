import type { Clock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { Driver } from "./driver.ts";
import { openPglite, openPgliteInMemory } from "./open-pglite.ts";
import { openPostgres, type PostgresLocation } from "./open-postgres.ts";
import { createStore, type Store } from "./store.ts";

/** Where the data lies. */
export type StoreLocation =
  /** Embedded, one process; in `<dataDir>/pglite`. */
  | { readonly kind: "pglite"; readonly dataDir: string }
  /** Embedded, gone with the process. */
  | { readonly kind: "pglite"; readonly memory: true }
  | ({ readonly kind: "postgres" } & PostgresLocation);

export interface StoreEffects {
  readonly clock: Clock;
  readonly random: Random;
}

/** Opens the database and brings its tables up to date. @throws ExitError saying what is wrong with it */
export async function openStore(location: StoreLocation, { clock, random }: StoreEffects): Promise<Store> {
  return createStore(await openDriver(location, clock), random);
}

function openDriver(location: StoreLocation, clock: Clock): Promise<Driver> {
  if (location.kind === "postgres") return openPostgres(location);
  return "memory" in location ? openPgliteInMemory() : openPglite(location.dataDir, clock);
}
