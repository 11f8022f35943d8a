import type { Clock } from "../clock.ts";
import type { Reader } from "../store/database.ts";
import { getLinks, type LinkRow } from "../store/links.ts";
import { getProjects, type ProjectRow } from "../store/projects.ts";
import { latestIssuedBefore } from "../store/revocations.ts";
import { activeTokenKeys, type SigningKeyRow } from "../store/signing-keys.ts";
import type { Store } from "../store/store.ts";
import { groupCalls } from "./group-calls.ts";

/** What is asked before tokens are issued. */
export interface FactsWanted {
  readonly project: string;
  /** Of any project: whose they are is the caller's to check. */
  readonly linkIds: readonly string[];
  /** `keyOfTarget`, in hex: what may have withdrawn everything issued until some time. */
  readonly targetKeys: readonly string[];
}

/** What the database holds for all who asked at once, and perhaps more than one of them wanted. */
export interface IssuingFacts {
  /** By id. */
  readonly projects: ReadonlyMap<string, ProjectRow>;
  /** By id. */
  readonly links: ReadonlyMap<string, LinkRow>;
  /** The key that signs, by project. */
  readonly signingKeys: ReadonlyMap<string, SigningKeyRow>;
  /** The latest "issued before", by target key. */
  readonly issuedBefore: ReadonlyMap<string, Date>;
}

export type ReadIssuingFacts = (wanted: FactsWanted) => Promise<IssuingFacts>;

/**
 * Reads all that issuing tokens takes in one round trip, shared by the calls that come meanwhile. Asked each time: a key or
 * project may have been revoked a moment ago.
 */
export const createIssuingFacts = (store: Store, clock: Clock): ReadIssuingFacts =>
  groupCalls((wanted: readonly FactsWanted[]) => store.read((reader) => readFacts(reader, wanted, clock.now())));

async function readFacts(reader: Reader, wanted: readonly FactsWanted[], nowMs: number): Promise<IssuingFacts> {
  const projectIds = distinct(wanted.map(({ project }) => project));
  const linkIds = distinct(wanted.flatMap((one) => one.linkIds));
  const targetKeys = distinct(wanted.flatMap((one) => one.targetKeys));
  // Sent together: the connection answers them in one round trip.
  const [projects, signingKeys, links, issuedBefore] = await Promise.all([
    getProjects(reader, projectIds),
    activeTokenKeys(reader, projectIds),
    linkIds.length === 0 ? [] : getLinks(reader, linkIds),
    latestIssuedBefore(reader, targetKeys, new Date(nowMs)),
  ]);
  return {
    projects: new Map(projects.map((row) => [row.id, row])),
    signingKeys: new Map(signingKeys.map((row) => [row.project, row])),
    links: new Map(links.map((row) => [row.id, row])),
    issuedBefore,
  };
}

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)];
