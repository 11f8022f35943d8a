import type { ConfigChange } from "../model/config-resource.ts";
import { BUILT_IN_ISSUER_ID } from "../model/project.ts";
import { issuerName, revocationName } from "../model/resource-name.ts";
import {
  keyOfTarget,
  type Revocation,
  type RevocationTarget,
  revocationEntryOf,
  revocationStreamName,
} from "../model/revocation.ts";
import { ACCESS_TOKEN_LIFETIME_MAX_MS, CLOCKS_MARGIN_MS } from "../model/token-lifetime.ts";
import type { Reader, Tx } from "../store/database.ts";
import { listIssuers } from "../store/issuers.ts";
import { insertRevocation, type RevocationRow } from "../store/revocations.ts";

/** How long tokens of other issuers live is theirs to say: nobody signs them for longer. */
const OTHERS_LIFETIME_MS = 90 * 24 * 60 * 60 * 1000;
/** After it no token that we minted is accepted anywhere. */
export const MINTED_LIFETIME_MS = ACCESS_TOKEN_LIFETIME_MAX_MS + CLOCKS_MARGIN_MS;

/** A revocation about to be written. */
export interface NewRevocation {
  readonly project: string;
  readonly id: string;
  readonly target: RevocationTarget;
  readonly expireTimeMs: number;
  /** "" = none. */
  readonly reason: string;
}

/** Writes a revocation; the change makes the proxies refuse what it names. @throws ConduitError `resource_exists` */
export async function writeRevocation(
  tx: Tx,
  revocation: NewRevocation,
  nowMs: number,
): Promise<{ readonly row: RevocationRow; readonly change: ConfigChange }> {
  const row = await insertRevocation(tx, revocationRowOf(revocation, nowMs));
  return { row, change: revocationUpsert(revocation) };
}

/** As it is stored. */
export const revocationRowOf = (
  { target, expireTimeMs, ...rest }: NewRevocation,
  createTimeMs: number,
): RevocationRow => ({
  ...rest,
  target,
  targetKey: keyOfTarget(target),
  issuedBefore: "issuedBeforeMs" in target ? new Date(target.issuedBeforeMs) : null,
  expireTime: new Date(expireTimeMs),
  createTime: new Date(createTimeMs),
});

/** What makes the proxies refuse what it names. */
export const revocationUpsert = ({ project, id, target, expireTimeMs }: NewRevocation): ConfigChange => ({
  op: "upsert",
  resource: {
    kind: "revocation",
    name: revocationStreamName(revocationName(project, id)),
    revocation: revocationEntryOf({ target, expireTimeMs }),
  },
});

/** What takes a revocation from the proxies. */
export const revocationDelete = ({ project, id }: Pick<RevocationRow, "project" | "id">): ConfigChange => ({
  op: "delete",
  kind: "revocation",
  name: revocationStreamName(revocationName(project, id)),
});

/** When the last token that the target names has expired, as far as we know. */
export async function defaultExpiryMs(
  reader: Reader,
  project: string,
  target: RevocationTarget,
  nowMs: number,
): Promise<number> {
  const builtIn = issuerName(project, BUILT_IN_ISSUER_ID);
  const named = ("issuer" in target ? target.issuer : undefined) ?? "";
  // Two are as good as all: whether there is another than the built-in one.
  const others = named === "" ? await listIssuers(reader, project, "", 2) : [];
  const isOurs = named === "" ? others.every(({ id }) => id === BUILT_IN_ISSUER_ID) : named === builtIn;
  return nowMs + (isOurs ? MINTED_LIFETIME_MS : OTHERS_LIFETIME_MS);
}

export const revocationOf = ({ project, id, target, expireTime, reason, createTime }: RevocationRow): Revocation => ({
  ...{ name: revocationName(project, id), target, reason },
  expireTimeMs: expireTime.getTime(),
  createTimeMs: createTime.getTime(),
});
