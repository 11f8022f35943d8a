// What the writers of the config log's fault tests write in which round, and how to read it back.
import { createHash } from "node:crypto";
import type { EncodedResource } from "../../server/src/model/config-digest.ts";
import type { ConfigChange } from "../../server/src/model/config-resource.ts";
import { decodeConfigResource } from "../../server/src/wire/config.ts";

/** Changes of each writer. */
export const ROUNDS = 1_000;
/** Resources of its own that a writer changes in turn. */
export const OWN = 40;
const SHARED = 15;
/** Each round's revocation expires one second later: the round can be read from it. */
const EXPIRY_S = 2_000_000_000;

const hash = (text: string): Buffer => createHash("sha256").update(text).digest().subarray(0, 16);
export const ownName = (writer: number, slot: number): string => hash(`own ${writer} ${slot}`).toString("hex");
const sharedName = (slot: number): string => hash(`shared ${slot}`).toString("hex");

const revocation = (name: string, round: number, from: number): ConfigChange => ({
  op: "upsert",
  resource: {
    ...{ kind: "revocation", name },
    revocation: { targetKey: hash(name), issuedBeforeS: from, expireTimeS: EXPIRY_S + round },
  },
});

/** One resource of the writer's own, and one that all writers change or delete. */
export function roundChanges(writer: number, round: number): ConfigChange[] {
  const shared = sharedName((round * 7 + writer) % SHARED);
  return [
    revocation(ownName(writer, round % OWN), round, writer),
    round % 5 === 0 ? { op: "delete", kind: "revocation", name: shared } : revocation(shared, round, writer),
  ];
}

/** Round in which a resource was last written. */
export function roundOf({ payload }: EncodedResource): number {
  const decoded = decodeConfigResource("revocation", payload);
  return decoded.kind === "revocation" ? decoded.revocation.expireTimeS - EXPIRY_S : Number.NaN;
}
