// The database of the config benchmark: what is in it, and changes with the time at which they began to be committed.
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { systemClock } from "../../server/src/clock.ts";
import { appendChanges } from "../../server/src/config-log/append.ts";
import { ensureHead } from "../../server/src/config-log/epoch.ts";
import { openFleet } from "../../server/src/config-log/fleet.ts";
import { EMPTY_DIGEST, resourceDigest, xorDigest } from "../../server/src/model/config-digest.ts";
import type { ConfigResource } from "../../server/src/model/config-resource.ts";
import type { Link } from "../../server/src/model/link.ts";
import { type RevocationTarget, revocationEntryOf, revocationStreamName } from "../../server/src/model/revocation.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { sealForFleet } from "../../server/src/sealing/fleet-key.ts";
import { createKeyring } from "../../server/src/sealing/keyring.ts";
import { parseMasterKeys } from "../../server/src/sealing/master-keys.ts";
import { appendConfigEntries, compactConfigLog } from "../../server/src/store/config-log.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { encodeConfigResource } from "../../server/src/wire/config.ts";
import { benchIssuer, benchLink, benchLinkToken, SECRET_NAME } from "./bench-link.ts";
import { type Commit, sharedNowMs } from "./config-messages.ts";

const PROBE_ID = "probe-link";
const PROBE_NAME = `projects/bench/links/${PROBE_ID}`;
/** Resources of one transaction when a database is filled. */
const BATCH = 5_000;

/** A database with a configuration in it. */
export interface ConfigWorld {
  readonly databaseUrl: string;
  readonly masterKey: string;
  /** A link that refuses every request and says in its answer which version of it did. */
  readonly probe: { readonly path: string; readonly linkToken: string };
  /** Adds links, each with a token of its own if so asked; one issuer and one secret serve them all. */
  addLinks(count: number, withTokens: boolean): Promise<void>;
  addRevocations(count: number): Promise<void>;
  /** Changes the probe: its answers say `version <n>` from then on. */
  changeProbe(version: number): Promise<Commit>;
  close(): Promise<void>;
}

export async function openConfigWorld(databaseUrl: string, linkToken: string): Promise<ConfigWorld> {
  const effects = { clock: systemClock, random: systemRandom };
  const masterKey = randomBytes(32).toString("base64");
  const store = await openStore({ kind: "postgres", url: new SecretText(databaseUrl) }, effects);
  await ensureHead({ store, ...effects, log: pino({ level: "silent" }) });
  const keyring = createKeyring(parseMasterKeys(new SecretText(masterKey)), systemRandom);
  const { fleetKey } = await openFleet(store, { keyring, ...effects, version: "bench" });
  const place = { resource: SECRET_NAME, value: "value" } as const;
  const sealedValue = sealForFleet(fleetKey, new SecretText("sk_bench_0123456789abcdef"), place, systemRandom);
  // Nobody listens there: keys of users are not what is measured.
  const issuer = benchIssuer("http://127.0.0.1:9/jwks.json");
  await add(store, [
    { kind: "secret", name: SECRET_NAME, sealedValue },
    { kind: "issuer", name: issuer.name, issuer },
    probeToken(linkToken),
    { kind: "link", name: PROBE_NAME, link: probeLink(0) },
  ]);
  let [links, revocations] = [0, 0];
  return {
    databaseUrl,
    masterKey,
    probe: { path: `/${PROBE_ID}/x`, linkToken },
    async addLinks(count, withTokens) {
      const ids = Array.from({ length: count }, () => links++);
      await addMany(store, ids, (at) => [linkAt(at), ...(withTokens ? [tokenAt(at)] : [])]);
    },
    async addRevocations(count) {
      const ids = Array.from({ length: count }, () => revocations++);
      await addMany(store, ids, (at) => [revocationAt(at)]);
    },
    changeProbe: (version) => commitProbe(store, version),
    close: () => store.close(),
  };
}

/** One change every so often, as many as fit: times of each, in order. */
export async function changeSpaced(
  world: ConfigWorld,
  { perSecond, durationMs, from }: { readonly perSecond: number; readonly durationMs: number; readonly from: number },
): Promise<Commit[]> {
  const startMs = sharedNowMs();
  const count = Math.max(1, Math.round((perSecond * durationMs) / 1_000));
  const started: Promise<Commit>[] = [];
  for (let at = 0; at < count; at += 1) {
    await delay(Math.max(0, startMs + (at * 1_000) / perSecond - sharedNowMs()));
    started.push(world.changeProbe(from + at));
  }
  return (await Promise.all(started)).sort((a, b) => a.sequence - b.sequence);
}

const linkName = (at: number): string => `projects/bench/links/bench-link-${at}`;

const linkAt = (at: number): ConfigResource => {
  const name = linkName(at);
  return { kind: "link", name, link: { ...benchLink("https://api.bench.example"), name } };
};

const tokenAt = (at: number): ConfigResource => {
  const name = `${linkName(at)}/tokens/web`;
  return { kind: "link_token", name, linkToken: { ...benchLinkToken(`token ${at}`), name } };
};

function revocationAt(at: number): ConfigResource {
  const target: RevocationTarget = { kind: "token", project: "bench", id: `jti-${at}` };
  const expireTimeMs = systemClock.now() + 86_400_000;
  const name = revocationStreamName(`projects/bench/revocations/${at}`);
  return { kind: "revocation", name, revocation: revocationEntryOf({ target, expireTimeMs }) };
}

const probeToken = (linkToken: string): ConfigResource => {
  const name = `${PROBE_NAME}/tokens/web`;
  return { kind: "link_token", name, linkToken: { ...benchLinkToken(linkToken), name } };
};

const probeLink = (version: number): Link => ({
  ...benchLink("https://api.bench.example"),
  name: PROBE_NAME,
  userTokenMode: "OFF",
  issuers: [],
  audiences: [],
  requiredClaims: [],
  scopesAll: [],
  claimHeaders: [],
  rules: [{ effect: "DENY", methods: [], path: "/**", query: {}, claims: [], message: `version ${version}` }],
});

function commitProbe(store: Store, version: number): Promise<Commit> {
  return store.transaction(async (tx) => {
    const link = probeLink(version);
    const sequence = await appendChanges(tx, [{ op: "upsert", resource: { kind: "link", name: PROBE_NAME, link } }]);
    // All that is left is the COMMIT itself.
    return { sequence: Number(sequence), atMs: sharedNowMs() };
  });
}

/** Fills quickly: in large transactions, whose log is then forgotten, as it is after a week. */
async function addMany(
  store: Store,
  ids: readonly number[],
  resourcesAt: (at: number) => ConfigResource[],
): Promise<void> {
  let last = 0n;
  for (let from = 0; from < ids.length; from += BATCH)
    last = await add(store, ids.slice(from, from + BATCH).flatMap(resourcesAt));
  await store.transaction((tx) => compactConfigLog(tx, last));
}

/** Adds resources that are not there yet. */
function add(store: Store, resources: readonly ConfigResource[]): Promise<bigint> {
  const entries = resources.map((resource) => {
    const { kind, name } = resource;
    return { kind, name, version: 1n, payload: encodeConfigResource(resource), isNew: true };
  });
  const change = entries.reduce((sum, entry) => xorDigest(sum, resourceDigest(entry)), EMPTY_DIGEST);
  return store.transaction((tx) => appendConfigEntries(tx, entries, change));
}
