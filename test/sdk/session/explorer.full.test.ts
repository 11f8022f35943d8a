// The same as explorer.test.ts, in 10,000 orders each.
import { test } from "vitest";
import { explore } from "./explorer.ts";

test.each([true, false])(
  "10,000 orders (documents: %s): one rotation per generation, no tokens after sign-out, every waiter settles",
  async (isDocument) => {
    for (let seed = 1_000; seed < 11_000; seed++) await explore({ seed, isDocument });
  },
  120_000,
);
