import type { CompactSigner } from "../jwt/compact-sign.ts";
import { importSigningKey, jwksText, type StoredSigningKey } from "../jwt/signing-key.ts";
import { SecretText } from "../model/secret-text.ts";
import {
  PUBLISHED_STATES,
  type PublicJwk,
  type SigningKeyPurpose,
  type SigningKeyState,
} from "../model/signing-key.ts";
import { stateAt } from "../policy/signing-key-life.ts";
import type { SealedPlace } from "../sealing/envelope.ts";
import { dataKeyIdOf } from "../sealing/keyring.ts";
import { type DataKeyRow, getDataKey } from "../store/data-keys.ts";
import type { Reader } from "../store/database.ts";
import { listSigningKeys, type SigningKeyRow } from "../store/signing-keys.ts";
import type { Deps } from "./deps.ts";

/** Imported keys kept; beyond it the oldest is imported again when needed. */
const IMPORTED_MAX = 1_000;

const placeOf = (project: string, kid: string): SealedPlace => ({
  table: "signing_keys",
  column: "sealed_private_jwk",
  project,
  row: kid,
  version: 1,
});

/** A new key as a row in `state`, sealed under the project's data key; an ACTIVE one signs from now on. */
export function signingKeyRow(
  deps: Pick<Deps, "keyring">,
  dataKey: DataKeyRow,
  { kid, algorithm, publicJwk, privateJwk }: StoredSigningKey,
  state: "PENDING" | "ACTIVE",
  now: Date,
  purpose: SigningKeyPurpose = "TOKEN",
): SigningKeyRow {
  const { project } = dataKey;
  return {
    kid,
    project,
    purpose,
    algorithm,
    publicJwk: JSON.parse(publicJwk) as PublicJwk,
    sealedPrivateJwk: deps.keyring.seal(dataKey, Buffer.from(privateJwk.reveal()), placeOf(project, kid)),
    state,
    createTime: now,
    activateTime: state === "ACTIVE" ? now : null,
    retireTime: null,
    scheduledActivateTime: null,
    publishedSequence: null,
  };
}

/**
 * The JWK set of a project's built-in issuer as text. By the clock, not by when it was last rotated: a retired key is
 * listed until the last token signed with it has expired everywhere, and not longer.
 * @param purposes default: users' tokens alone, since proxies hold the keys of assertions and must not accept as a
 * person's token what another proxy could have signed
 */
export async function publishedJwks(
  reader: Reader,
  project: string,
  nowMs: number,
  purposes: readonly SigningKeyPurpose[] = ["TOKEN"],
): Promise<string> {
  const rows = await listSigningKeys(reader, project, PUBLISHED_STATES, purposes);
  const published = rows.filter((row) => PUBLISHED_STATES.includes(stateOf(row, nowMs)));
  return jwksText(published.map(({ publicJwk }) => JSON.stringify(sorted(publicJwk))));
}

/** In one order, wherever the row comes from: the database has its own. */
const sorted = (jwk: PublicJwk): PublicJwk =>
  Object.fromEntries(Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1)));

/** What the clock makes of a row's state. */
export const stateOf = ({ state, retireTime }: SigningKeyRow, nowMs: number): SigningKeyState =>
  stateAt({ state, retireTimeMs: retireTime?.getTime() ?? null }, nowMs);

/** Opens and imports the keys that projects sign with. */
export interface Signers {
  /**
   * @param row the key as it is now: which one signs is read each time, since it may have been revoked a moment ago
   * @throws TypeError when the project has none: every project is made with one
   */
  signerOf(row: SigningKeyRow | undefined): Promise<CompactSigner>;
}

/** Opening a key is done once. */
export function createSigners(deps: Pick<Deps, "store" | "keyring">): Signers {
  const imported = new Map<string, CompactSigner>();
  return {
    async signerOf(row) {
      if (row === undefined) throw new TypeError("the project has no signing key");
      const known = imported.get(row.kid);
      if (known !== undefined) return known;
      const key = await importRow(deps, row);
      if (imported.size >= IMPORTED_MAX) imported.delete(imported.keys().next().value ?? "");
      imported.set(row.kid, key);
      return key;
    },
  };
}

async function importRow(deps: Pick<Deps, "store" | "keyring">, row: SigningKeyRow): Promise<CompactSigner> {
  const privateJwk = await deps.store.read((reader) => openPrivateJwk(deps, reader, row));
  return importSigningKey(row.kid, privateJwk, row.algorithm);
}

/** The private half of a key as JWK text. */
export async function openPrivateJwk(
  { keyring }: Pick<Deps, "keyring">,
  reader: Reader,
  { project, kid, sealedPrivateJwk }: SigningKeyRow,
): Promise<SecretText> {
  const dataKey = await getDataKey(reader, dataKeyIdOf(sealedPrivateJwk));
  if (dataKey === undefined) throw new TypeError("the data key of a signing key is gone");
  const opened = keyring.open(dataKey, sealedPrivateJwk, placeOf(project, kid));
  const privateJwk = new SecretText(Buffer.from(opened).toString());
  opened.fill(0);
  return privateJwk;
}
