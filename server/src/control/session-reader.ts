import { getSessions, type SessionRow } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import { groupCalls } from "./group-calls.ts";

/** Reads sessions by id, those that are asked for at once together. */
export function createSessionReader(store: Store): (id: string) => Promise<SessionRow | undefined> {
  const readAll = groupCalls(async (ids: readonly string[]) => {
    const rows = await store.read((reader) => getSessions(reader, [...new Set(ids)]));
    return new Map(rows.map((row) => [row.id, row]));
  });
  return async (id) => (await readAll(id)).get(id);
}
