import type { Clock } from "../clock.ts";
import type { Reader } from "../store/database.ts";
import { getLinks, type LinkRow } from "../store/links.ts";
import { getProjects, type ProjectRow } from "../store/projects.ts";
import { latestIssuedBefore } from "../store/revocations.ts";
import { activeTokenKeys, type SigningKeyRow } from "../store/signing-keys.ts";
import type { StandingRow } from "../store/standing-rows.ts";
import type { Store } from "../store/store.ts";
import { groupCalls } from "./group-calls.ts";

/** Links, projects and signing keys kept of each; beyond it the oldest is read again when needed. */
const KEPT_MAX = 1_000;

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

/** Facts that may no longer be true. */
export interface RecalledFacts extends IssuingFacts {
  /** What they were read from, to be confirmed with the deed (`AuditLedger.writeIfStanding`). */
  readonly rows: readonly StandingRow[];
}

/** Finds what issuing tokens takes. */
export interface IssuingFactsReader {
  /** In one round trip, shared by the calls that come meanwhile; as it is after this call began. */
  read(wanted: FactsWanted): Promise<IssuingFacts>;
  /** As it was read last, with nothing withdrawn; undefined = some of it never was. Only for what is confirmed with the deed. */
  recall(wanted: FactsWanted): RecalledFacts | undefined;
}

export function createIssuingFacts(store: Store, clock: Clock): IssuingFactsReader {
  const memory = { projects: new Map(), links: new Map(), signingKeys: new Map() } satisfies Partial<Memory>;
  const read = groupCalls((wanted: readonly FactsWanted[]) =>
    store.read((reader) => readFacts(reader, wanted, clock.now())),
  );
  return {
    async read(wanted) {
      const facts = await read(wanted);
      keep(memory.projects, facts.projects);
      keep(memory.links, facts.links);
      keep(memory.signingKeys, facts.signingKeys);
      return facts;
    },
    recall: (wanted) => recalled(memory, wanted),
  };
}

interface Memory {
  readonly projects: Map<string, ProjectRow>;
  readonly links: Map<string, LinkRow>;
  readonly signingKeys: Map<string, SigningKeyRow>;
}

function keep<Row>(kept: Map<string, Row>, rows: ReadonlyMap<string, Row>): void {
  for (const [id, row] of rows) {
    if (kept.size >= KEPT_MAX && !kept.has(id)) kept.delete(kept.keys().next().value ?? "");
    kept.set(id, row);
  }
}

const NOTHING_WITHDRAWN: IssuingFacts["issuedBefore"] = new Map();

function recalled(memory: Memory, { project, linkIds }: FactsWanted): RecalledFacts | undefined {
  const row = memory.projects.get(project);
  const signingKey = memory.signingKeys.get(project);
  const links = linkIds.map((id) => memory.links.get(id)).filter((link) => link !== undefined);
  if (row === undefined || signingKey === undefined || links.length < linkIds.length) return undefined;
  const rows: StandingRow[] = [
    { table: "projects", id: project, version: row.version },
    { table: "signing_keys", id: signingKey.kid, version: 0 },
    ...links.map(({ id, version }) => ({ table: "links", id, version }) as const),
  ];
  return { ...memory, issuedBefore: NOTHING_WITHDRAWN, rows };
}

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
