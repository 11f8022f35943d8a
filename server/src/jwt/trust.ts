import { createSecretKey } from "node:crypto";
import { ConduitError } from "../model/errors.ts";
import type { Issuer, SecretEncoding, SigningAlgorithm } from "../model/issuer.ts";
import type { SecretText } from "../model/secret-text.ts";
import type { JwksSources } from "./jwks.ts";
import { parseKeySet } from "./key-set.ts";
import type { KeySet, KeySource, VerificationKey } from "./key-source.ts";
import { readStaticKeys } from "./static-keys.ts";

/** An issuer whose tokens can be verified. */
export interface TrustedIssuer {
  readonly issuer: Issuer;
  readonly keys: KeySource;
}

/** A secret's versions: `next` verifies too, so that signers can change over. */
export interface SecretVersions {
  readonly current: SecretText;
  readonly next?: SecretText;
}

/** What compiling an issuer takes besides itself. */
export interface IssuerParts {
  readonly issuer: Issuer;
  /** For `hs256`. */
  readonly secret?: SecretVersions;
  /** For `built_in`: public keys as JWKS text. */
  readonly jwks?: string;
  /** For `jwks_url` and `oidc_discovery`. */
  readonly jwksSources: JwksSources;
}

/** Compiles an issuer; throws `field_invalid` when its secret or key set is missing or unusable. */
export function trustIssuer({ issuer, secret, jwks, jwksSources }: IssuerParts): TrustedIssuer {
  const { keys } = issuer;
  switch (keys.kind) {
    case "hs256":
      if (secret === undefined) throw unusable("the issuer's secret is not there");
      return { issuer, keys: fixedSource(secretKeySet(secret, keys.encoding)) };
    case "built_in": {
      const set = jwks === undefined ? undefined : parseKeySet(jwks);
      if (set === undefined) throw unusable("the built-in issuer's key set is not there");
      return { issuer, keys: fixedSource(set) };
    }
    case "static_keys": {
      const read = readStaticKeys(keys.text, issuer.algorithms);
      if ("problem" in read) throw unusable(`the issuer's static_keys: ${read.problem}`);
      return { issuer, keys: fixedSource(read.set) };
    }
    case "jwks_url":
    case "oidc_discovery":
      return { issuer, keys: jwksSources.of(issuer, keys) };
  }
}

const unusable = (detail: string): ConduitError => new ConduitError("field_invalid", { detail });

/** Keys that change only with the configuration. */
function fixedSource(set: KeySet): KeySource {
  return { current: () => set, load: async () => set, newer: async () => undefined, isUnreachable: () => false };
}

const HMAC_HASHES: Partial<Record<SigningAlgorithm, string>> = { HS256: "SHA-256", HS384: "SHA-384", HS512: "SHA-512" };

function secretKeySet({ current, next }: SecretVersions, encoding: SecretEncoding): KeySet {
  const secrets = (next === undefined ? [current] : [current, next]).map((secret) => {
    const bytes = secretBytes(secret, encoding);
    if (bytes === undefined || bytes.length === 0) throw unusable(`the issuer's secret is not ${encoding} text`);
    return createSecretKey(bytes);
  });
  const byAlgorithm = new Map<string, readonly VerificationKey[]>();
  for (const [algorithm, hash] of Object.entries(HMAC_HASHES)) {
    const hmac = { name: "HMAC", hash } as const;
    byAlgorithm.set(
      algorithm,
      secrets.map((secret) => secret.toCryptoKey(hmac, false, ["verify"])),
    );
  }
  // `kid` says nothing here: the algorithm is what keeps a public key from ever being taken for a secret.
  return { kids: [], find: (algorithm) => byAlgorithm.get(algorithm) ?? [] };
}

const DECODERS: Record<SecretEncoding, (text: string) => Uint8Array | undefined> = {
  UTF8: (text) => Buffer.from(text, "utf8"),
  BASE64: (text) => (/^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : undefined),
  HEX: (text) => (/^(?:[0-9A-Fa-f]{2})+$/.test(text) ? Buffer.from(text, "hex") : undefined),
};

/** Key bytes of an HMAC secret; undefined when its text is not in that encoding. BASE64 reads base64url too. */
export const secretBytes = (secret: SecretText, encoding: SecretEncoding): Uint8Array | undefined =>
  DECODERS[encoding](secret.reveal());
