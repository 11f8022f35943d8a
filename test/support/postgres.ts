// Databases for tests, all of one PostgreSQL server per vitest run (postgres-setup.ts).
import { inject } from "vitest";

/** A new empty database on the server this run shares, which starts when first asked for. Returns its URL. */
export async function createDatabase(): Promise<string> {
  const answer = await fetch(inject("postgresBroker"), { method: "POST" });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}
