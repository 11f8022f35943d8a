import { test } from "vitest";
import { explore } from "./explorer.ts";

const SCHEDULES = 150;

test.each([true, false])(
  `refresh × sign-out × other tabs × crash × late answers in ${SCHEDULES} orders (documents: %s): one rotation per generation, no tokens after sign-out, every waiter settles`,
  async (isDocument) => {
    for (let seed = 1; seed <= SCHEDULES; seed++) await explore({ seed, isDocument });
  },
);
