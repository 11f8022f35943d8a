// One store per kind and test file; the same tests run on each.
import { afterAll, beforeAll, describe } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { createDatabase } from "./postgres.ts";

const KINDS = ["pglite", "postgres"] as const;

/** Opens an empty store of a kind; the caller closes it. */
export async function openTestStore(kind: Store["kind"]): Promise<Store> {
  const effects = { clock: systemClock, random: systemRandom };
  if (kind === "pglite") return openStore({ kind, memory: true }, effects);
  return openStore({ kind, url: new SecretText(await createDatabase()) }, effects);
}

/** Declares the tests once for PGlite and once for PostgreSQL; `store()` is the one of the running test. */
export function describeStores(name: string, body: (store: () => Store, kind: Store["kind"]) => void): void {
  describe.each(KINDS)(`${name} on %s`, (kind) => {
    let opened: Store | undefined;
    beforeAll(async () => {
      opened = await openTestStore(kind);
    }, 60_000);
    afterAll(() => opened?.close());
    body(() => {
      if (opened === undefined) throw new TypeError("the store is not open");
      return opened;
    }, kind);
  });
}
