import { HMAC_SECRET_MIN_BYTES } from "../model/issuer.ts";

const DISTINCT_MIN = 10;
/** Share of neighbours that differ by at most one: `abcdef`, `111111`, `98765`. Random text has about 5 %. */
const RUN_SHARE_MAX = 0.5;

/** Secrets that documentation and templates print, as far as they are long enough to pass otherwise. Lower case. */
const SAMPLES = [
  "a-string-secret-at-least-256-bits-long",
  "your-super-secret-jwt-token-with-at-least-32-characters-long",
  "super-secret-jwt-token-with-at-least-32-characters-long",
  "your-256-bit-secret",
  "your-secret-key",
  "change-me",
  "changeme",
] as const;

interface SecretRule {
  readonly isBroken: (text: string, bytes: Uint8Array) => boolean;
  readonly problem: string;
}

const RULES: readonly SecretRule[] = [
  // Published text: whoever knows the public key could sign (RFC 8725 2.1).
  {
    isBroken: (text) => /-----BEGIN |^\s*ssh-/.test(text) || /^\s*\{[\s\S]*"(?:keys|kty)"\s*:/.test(text),
    problem: "must not be a key in PEM, SSH or JWK form: use a jwks_url for public keys",
  },
  {
    isBroken: (_text, bytes) => bytes.length < HMAC_SECRET_MIN_BYTES,
    problem: `must have at least ${HMAC_SECRET_MIN_BYTES} bytes (RFC 7518 3.2)`,
  },
  {
    isBroken: (text) => SAMPLES.some((sample) => text.toLowerCase().includes(sample)),
    problem: "must not be a sample from documentation",
  },
  {
    isBroken: (_text, bytes) =>
      new Set(bytes).size < DISTINCT_MIN || isRepeated(bytes) || runShare(bytes) > RUN_SHARE_MAX,
    problem: "is too easy to guess: use random bytes, as from `openssl rand -base64 48`",
  },
];

/**
 * What is wrong with an HMAC secret (promises.md S12); undefined = nothing was found. Public text without the secret.
 * @param text as the user gave it
 * @param bytes what its encoding makes of it; undefined = it is not in that encoding
 */
export function hmacSecretProblem(text: string, bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return "is not text in the issuer's encoding";
  return RULES.find(({ isBroken }) => isBroken(text, bytes))?.problem;
}

/** Bytes in which repetition is looked for: comparing every period takes the square of it. */
const REPETITION_BYTES = 1024;

/** Whether it is one piece over and over, the last time perhaps cut short. */
function isRepeated(all: Uint8Array): boolean {
  const bytes = all.subarray(0, REPETITION_BYTES);
  for (let period = 1; period <= bytes.length / 2; period += 1) {
    if (bytes.every((byte, at) => at < period || byte === bytes[at - period])) return true;
  }
  return false;
}

function runShare(bytes: Uint8Array): number {
  const near = bytes.filter((byte, at) => at > 0 && Math.abs(byte - (bytes[at - 1] ?? 0)) <= 1);
  return near.length / bytes.length;
}
