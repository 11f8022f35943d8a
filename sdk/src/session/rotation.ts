import { within } from "../abort.ts";
import { type Grant, parseGrant, type RefreshContext } from "../grant.ts";
import type { Platform } from "../platform.ts";
import { grantOf, parseRecord, recordOf, type SessionRecord } from "./record.ts";
import type { RefreshSource } from "./refresh-source.ts";
import type { TokenStore } from "./store.ts";

/** How often a change is tried that others keep coming before. */
const maxRounds = 5;
// The signal ends the wait; longer timers fire at once in every engine.
const maxTimerMs = 2 ** 31 - 1;

/** What rotations work with. */
export interface RotationParts {
  readonly store: TokenStore;
  readonly source: RefreshSource;
  readonly platform: Platform;
  /** Called as soon as something new is in the store. */
  announce(): void;
}

/**
 * The record whose token takes the place of `context.token`: what somebody else has put into the store, else the outcome of one rotation.
 * `undefined` = signed out. Rejects when the store or the source failed; what was begun is finished by the next try, with the same `attemptId`.
 */
export async function nextRecord(parts: RotationParts, context: RefreshContext): Promise<SessionRecord | undefined> {
  for (let round = 0; round < maxRounds; round++) {
    const text = await parts.store.read();
    const record = parseRecord(text);
    if (record?.signedOut) return undefined;
    // Who asks by hand wants a new token, not another tab's; but one that came in the middle is new enough.
    const isWanted = round > 0 || context.reason !== "manual";
    if (isWanted && record && record.token !== context.token && grantOf(record, parts.platform.now())) return record;
    const outcome = await rotate(parts, text, record, context);
    if (outcome) return outcome.record;
  }
  throw contended();
}

/** What the store's record becomes, by `change`, however often others come before. Answers what there was. */
export async function replaceRecord(
  store: TokenStore,
  change: (previous: SessionRecord | undefined) => SessionRecord,
): Promise<SessionRecord | undefined> {
  for (let round = 0; round < maxRounds; round++) {
    const text = await store.read();
    const previous = parseRecord(text);
    if (await store.swap(text, JSON.stringify(change(previous)))) return previous;
  }
  throw contended();
}

const contended = () => new Error("The store changes faster than it can be written");

/** `undefined`: somebody else was faster, look again. */
async function rotate(
  { store, source, platform, announce }: RotationParts,
  text: string | null,
  known: SessionRecord | undefined,
  context: RefreshContext,
): Promise<{ readonly record: SessionRecord | undefined } | undefined> {
  const record = known ?? { v: 1, session: platform.randomId(), generation: 0 };
  const { refreshToken, attemptId = context.attemptId } = record;
  const pending = record.attemptId ? text : JSON.stringify({ ...record, attemptId });
  if (pending !== text && !(await store.swap(text, pending))) return undefined;
  // Left when the signal says so, whatever the source does: a lock is held meanwhile.
  const asked = Promise.resolve(source.getToken({ ...context, attemptId, refreshToken }));
  const grant = await within(platform, asked, maxTimerMs, context.signal);
  if (grant === null) {
    // Only if nobody has put a newer token there: then ours was the outdated one, and the session goes on.
    if (!(await store.swap(pending, JSON.stringify(endOf(record))))) return undefined;
    announce();
    return { record: undefined };
  }
  const next = recordOf(parseGrant(grant as Grant), record, platform);
  let isKept = true;
  try {
    isKept = await store.swap(pending, JSON.stringify(next));
  } catch {
    // Not written, not lost: the store still has the refresh token and the attempt, for which the server answers this successor again.
  }
  // Otherwise it was signed out or replaced meanwhile: what came for the old session must not bring it back.
  if (!isKept) return undefined;
  announce();
  return { record: next };
}

/** What remains of a session that has ended. */
export function endOf(record: SessionRecord | undefined): SessionRecord {
  return { v: 1, session: "", generation: (record?.generation ?? 0) + 1, signedOut: true };
}
