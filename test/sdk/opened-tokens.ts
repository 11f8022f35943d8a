// A token manager on a fake platform, whose source the test answers by hand.
import { inspect } from "node:util";
import { expect } from "vitest";
import {
  type ConduitErrorCode,
  type ConduitEvents,
  type GetToken,
  type Grant,
  isConduitError,
  type RefreshContext,
  TokenManager,
} from "../../sdk/src/index.ts";
import { rejection } from "./fake-link.ts";
import { createFakePlatform } from "./fake-platform.ts";

/** A source the test answers by hand, and the manager over it. */
export function openManager(options: { refreshTimeoutMs?: number; autoRefresh?: boolean } = {}) {
  const fake = createFakePlatform();
  const asked: (RefreshContext & { answer(grant: Grant | null): void; fail(error: unknown): void })[] = [];
  const refresh: GetToken = (context) =>
    new Promise((answer, fail) => {
      asked.push({ ...context, answer, fail });
    });
  const manager = new TokenManager({ refresh, platform: fake.platform, ...options });
  const events: [type: string, event: unknown][] = [];
  for (const type of ["change", "refresh", "lost"] as const) manager.on(type, (event) => events.push([type, event]));
  const last = () => {
    const context = asked.at(-1);
    if (!context) throw new Error("the source was not asked");
    return context;
  };
  const eventsOf = <Type extends keyof ConduitEvents>(type: Type) =>
    events.filter(([name]) => name === type).map(([, event]) => event as ConduitEvents[Type]);
  return { ...fake, fake, asked, last, manager, eventsOf };
}

/** The promise must reject with a `ConduitError` of this code; answers the error. */
export async function expectCode(promise: Promise<unknown>, code: ConduitErrorCode) {
  const error = await rejection(promise);
  expect(isConduitError(error, code), inspect(error)).toBe(true);
  return error as Error;
}
