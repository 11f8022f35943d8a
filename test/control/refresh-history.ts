/** One refresh: which token was presented, which was answered (undefined = refused). In the order of the answers. */
export interface RefreshRecord {
  readonly presented: number;
  readonly answered: number | undefined;
}

/** What a history shows. */
export interface HistoryVerdict {
  /** Empty = it is one that S20 allows. */
  readonly problems: readonly string[];
  /** Refresh tokens that were given out, the first one not counted. */
  readonly rotations: number;
}

/**
 * Reads a session's history: every answer is the successor of what was presented, and no token has two. Answers may have
 * overtaken each other on their way, so the order says nothing but that a reuse comes after two rotations.
 */
export function checkHistory(history: readonly RefreshRecord[]): HistoryVerdict {
  const problems: string[] = [];
  const successors = new Map<number, Set<number>>();
  for (const { presented, answered } of history) {
    if (answered === undefined) continue;
    if (answered !== presented + 1) problems.push(`${presented} was answered with ${answered}`);
    successors.set(presented, (successors.get(presented) ?? new Set()).add(answered));
  }
  for (const [presented, all] of successors) if (all.size > 1) problems.push(`${presented} has ${all.size} successors`);
  return { problems, rotations: successors.size };
}
