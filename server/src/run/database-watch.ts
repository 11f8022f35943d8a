import type { Log } from "../log.ts";
import { ConduitError } from "../model/errors.ts";
import type { Store } from "../store/store.ts";

/** How often the database is asked whether it takes changes. */
const ASK_MS = 2_000;

/** Knows whether the database can be worked with. */
export interface DatabaseWatch {
  /** What is wrong with it, in a few words; undefined = nothing. At most a few seconds old. */
  fault(): string | undefined;
  stop(): void;
}

/**
 * Asks the database every 2 s, so that `/readyz` need not: a balancer that asks often must not be able to load it. The
 * calls themselves go on trying, and work again as soon as it does.
 */
export function watchDatabase(store: Pick<Store, "ping">, log: Log): DatabaseWatch {
  let fault: string | undefined;
  let isAsking = false;

  async function ask(): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    const found = await store.ping().then(() => undefined, textOf);
    isAsking = false;
    if (found !== fault && found !== undefined) log.error({ fault: found }, "the database cannot be worked with");
    if (found !== fault && found === undefined) log.info("the database can be worked with again");
    fault = found;
  }

  const timer = setInterval(ask, ASK_MS);
  timer.unref();
  return { fault: () => fault, stop: () => clearInterval(timer) };
}

const textOf = (error: unknown): string => (error instanceof ConduitError ? error.message : "the database has failed");
