import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import type { SigningAlgorithm } from "../model/issuer.ts";
import type { Jwk } from "./key-algorithms.ts";
import { KEYS_MAX, keySetOf, parseJsonObject, readSetKey, type SetKey } from "./key-set.ts";
import type { KeySet } from "./key-source.ts";

/** Keys that stand in the configuration, or what is wrong with their text (public, without the text). */
export type StaticKeys = { readonly set: KeySet } | { readonly problem: string };

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;
const PRIVATE = "holds a private key: give the public half only, and treat that key as no longer secret";

/**
 * Reads `static_keys`: a JWK set or one JWK (JSON), or public keys and certificates in PEM. Unlike a fetched set it is
 * refused as a whole when one key cannot be used: whoever wrote it is there to put it right. Not checked: whether a
 * certificate is valid or who signed it; only its key counts.
 * @param algorithms of the issuer: each key must fit one of them
 */
export function readStaticKeys(text: string, algorithms: readonly SigningAlgorithm[]): StaticKeys {
  const isPem = text.includes("-----BEGIN ");
  const read = isPem ? readPem(text) : readJwks(text);
  if ("problem" in read) return read;
  if (read.keys.length > KEYS_MAX) return { problem: `must not hold more than ${KEYS_MAX} keys` };
  const unfit = read.keys.findIndex((key) => key?.key.algorithms.some((it) => algorithms.includes(it)) !== true);
  if (unfit >= 0) return { problem: `key ${unfit + 1} cannot be used with ${algorithms.join(", ")}` };
  const keys = read.keys.filter((key) => key !== undefined);
  return keys.length === 0 ? { problem: "holds no key" } : { set: keySetOf(keys, !isPem) };
}

type Read = { readonly keys: readonly (SetKey | undefined)[] } | { readonly problem: string };

function readJwks(text: string): Read {
  const document = parseJsonObject(text);
  const members: unknown = document !== undefined && "kty" in document ? [document] : document?.keys;
  if (!Array.isArray(members)) return { problem: "must be a JWK set (JSON), or public keys or certificates in PEM" };
  // A private or shared key that lies here was shown to everyone who may read the issuer.
  if (members.some(isSecretJwk)) return { problem: PRIVATE };
  return { keys: members.map(readSetKey) };
}

const isSecretJwk = (value: unknown): boolean =>
  typeof value === "object" && value !== null && ["d", "k", "p", "q"].some((name) => name in value);

function readPem(text: string): Read {
  if (text.includes("PRIVATE KEY-----")) return { problem: PRIVATE };
  const blocks = [...text.matchAll(PEM_BLOCK)];
  if (text.replaceAll(PEM_BLOCK, "").includes("-----BEGIN ")) return { problem: "holds a PEM block without its end" };
  return { keys: blocks.map(([block, label = ""]) => readBlock(block, label)) };
}

function readBlock(block: string, label: string): SetKey | undefined {
  try {
    const key: KeyObject = label === "CERTIFICATE" ? new X509Certificate(block).publicKey : createPublicKey(block);
    return readSetKey(key.export({ format: "jwk" }) as Jwk);
  } catch {
    return undefined;
  }
}
