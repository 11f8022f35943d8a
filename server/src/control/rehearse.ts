import type { Tx } from "../store/database.ts";
import type { Store } from "../store/store.ts";

/** Carries the result out of a transaction that must not be kept. */
class Rehearsed<T> extends Error {
  readonly value: T;

  constructor(value: T) {
    super("rolled back: it was only a rehearsal");
    this.value = value;
  }
}

/** Runs the work against the database and rolls it back (AIP-163 `validate_only`): the very checks of the real thing. */
export async function rehearse<T>(store: Store, work: (tx: Tx) => Promise<T>): Promise<T> {
  try {
    return await store.transaction<never>(async (tx) => {
      throw new Rehearsed(await work(tx));
    });
  } catch (thrown) {
    if (thrown instanceof Rehearsed) return thrown.value as T;
    throw thrown;
  }
}
