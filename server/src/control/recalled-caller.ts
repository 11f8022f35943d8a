import { type ContextValues, createContextKey } from "@connectrpc/connect";
import type { Principal } from "../model/api-key.ts";
import type { StandingRow } from "../store/standing-rows.ts";
import { type Call, principalKey } from "./call.ts";

/** A caller whose API key was found in memory: it may have been deleted or changed since. */
export interface RecalledCaller {
  readonly principal: Principal;
  /** The key as it was read: a deed that is written only while this stands confirms the caller. */
  readonly row: StandingRow;
  /** As the database knows the key now. @throws ConduitError as `Authenticator.apiKey` */
  identifyAnew(): Promise<Principal>;
}

/** Set until the caller is confirmed. */
const unconfirmedKey = createContextKey<RecalledCaller | undefined>(undefined, {
  description: "caller found in memory, not confirmed yet",
});

/** Who calls, for now: `confirmCaller` comes before anything of the call is answered. */
export function setRecalledCaller(values: ContextValues, caller: RecalledCaller): void {
  values.set(principalKey, caller.principal);
  values.set(unconfirmedKey, caller);
}

/** What must stand for the caller to be who it seems; empty = that is known. */
export function rowsOfCaller({ values }: Call): readonly StandingRow[] {
  const caller = values.get(unconfirmedKey);
  return caller === undefined ? [] : [caller.row];
}

/** To be told when a deed was written that rests on `rowsOfCaller`. */
export function callerStands({ values }: Call): void {
  values.set(unconfirmedKey, undefined);
}

/** Asks the database, unless that is done. @throws ConduitError when the key does not count any more */
export async function confirmCaller({ values }: Call): Promise<void> {
  const caller = values.get(unconfirmedKey);
  if (caller === undefined) return;
  values.set(principalKey, await caller.identifyAnew());
  values.set(unconfirmedKey, undefined);
}
