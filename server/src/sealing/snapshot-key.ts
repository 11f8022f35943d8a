import { hkdfSync } from "node:crypto";
import type { SecretText } from "../model/secret-text.ts";
import type { Random } from "../random.ts";
import { open, seal } from "./envelope.ts";
import { KEY_BYTES, type SealingKey, sealingKey } from "./sealing-key.ts";

/**
 * The key of a proxy's snapshot on disk, from its credential (HKDF-SHA256, RFC 5869; the credential is random, so no slow
 * hash is needed). A stolen volume or backup without the credential does not open; who reads the credential's file opens it.
 */
export const snapshotKey = (credential: SecretText): SealingKey =>
  sealingKey(new Uint8Array(hkdfSync("sha256", credential.reveal(), "", "conduit/v1/proxy-snapshot", KEY_BYTES)));

/** Where in which snapshot file a part stands: it opens there and nowhere else, so that parts cannot be mixed. */
export interface SnapshotPlace {
  /** Random id of the file. */
  readonly file: string;
  /** From 0. */
  readonly part: number;
}

const bindingOf = ({ file, part }: SnapshotPlace) => ["proxy-snapshot", file, part] as const;

/** Seals one part of a snapshot. */
export const sealSnapshot = (key: SealingKey, part: Uint8Array, place: SnapshotPlace, random: Random): Uint8Array =>
  seal(key, part, bindingOf(place), random);

/** Opens one part. @throws SealingError when it was changed, moved, or is another proxy's */
export const openSnapshot = (key: SealingKey, sealed: Uint8Array, place: SnapshotPlace): Uint8Array =>
  open(key, sealed, bindingOf(place));
