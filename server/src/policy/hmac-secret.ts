import { hmacSecretMinBytes, type SigningAlgorithm } from "../model/issuer.ts";

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
  readonly isBroken: (text: string, bytes: Uint8Array, minBytes: number) => boolean;
  readonly problem: string | ((minBytes: number) => string);
}

/** What every refusal for want of randomness offers instead. */
const offer = (minBytes: number): string => `use random bytes, as from \`openssl rand -base64 ${minBytes}\``;

const RULES: readonly SecretRule[] = [
  // Published text: whoever knows the public key could sign (RFC 8725 2.1).
  {
    isBroken: (text) => /-----BEGIN |^\s*ssh-/.test(text) || /^\s*\{[\s\S]*"(?:keys|kty)"\s*:/.test(text),
    problem: "must not be a key in PEM, SSH or JWK form: use jwks_url or static_keys for public keys",
  },
  {
    isBroken: (_text, bytes, minBytes) => bytes.length < minBytes,
    problem: (minBytes) => `must have at least ${minBytes} bytes (RFC 7518 3.2): ${offer(minBytes)}`,
  },
  {
    isBroken: (text) => SAMPLES.some((sample) => text.toLowerCase().includes(sample)),
    problem: (minBytes) => `must not be a sample from documentation: ${offer(minBytes)}`,
  },
  {
    isBroken: (_text, bytes) =>
      new Set(bytes).size < DISTINCT_MIN || isRepeated(bytes) || runShare(bytes) > RUN_SHARE_MAX,
    problem: (minBytes) => `is too easy to guess: ${offer(minBytes)}`,
  },
];

/**
 * What is wrong with an HMAC secret (promises.md S12); undefined = nothing was found. Public text without the secret.
 * @param text as the user gave it
 * @param bytes what its encoding makes of it; undefined = it is not in that encoding
 * @param isGuessable an estimate from outside (`secret-strength.ts`), asked last: it is slow
 */
export function hmacSecretProblem(
  text: string,
  bytes: Uint8Array | undefined,
  algorithms: readonly SigningAlgorithm[],
  isGuessable: (text: string) => boolean,
): string | undefined {
  if (bytes === undefined) return "is not text in the issuer's encoding";
  const minBytes = hmacSecretMinBytes(algorithms);
  const problem = RULES.find(({ isBroken }) => isBroken(text, bytes, minBytes))?.problem;
  if (problem !== undefined) return typeof problem === "string" ? problem : problem(minBytes);
  // Words stay words when they are written in base64.
  const decoded = Buffer.from(bytes).toString("latin1");
  const isWords = isGuessable(text) || (decoded !== text && isGuessable(decoded));
  return isWords ? `is too easy to guess: ${offer(minBytes)}` : undefined;
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
