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

/** Seals a snapshot whole. */
export const sealSnapshot = (key: SealingKey, snapshot: Uint8Array, random: Random): Uint8Array =>
  seal(key, snapshot, ["proxy-snapshot"], random);

/** Opens a snapshot. @throws SealingError when it was changed or is another proxy's */
export const openSnapshot = (key: SealingKey, sealed: Uint8Array): Uint8Array => open(key, sealed, ["proxy-snapshot"]);
