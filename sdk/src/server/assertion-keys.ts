import { within } from "../abort.ts";
import { defaultPlatform } from "../platform.ts";
import { parseTarget } from "../target.ts";

/** A JWK set (RFC 7517 section 5). */
export interface JsonWebKeySet {
  readonly keys: readonly object[];
}

/** Finds the public key an assertion says it is signed with. */
export interface AssertionKeys {
  /** `undefined` = there is none of this `kid` for this `alg`. Rejects when the keys cannot be had. */
  find(kid: string, alg: string): Promise<AssertionKey | undefined>;
}

/** A public key ready to verify with. */
export interface AssertionKey {
  verify(signingInput: string, signature: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

/** Where a project's keys come from. */
export interface AssertionKeysOptions {
  /** The project's issuer, `<public-url>/p/<project>`; its key set is at `<issuer>/.well-known/jwks.json`. Https, or loopback. */
  readonly issuer: string;
  /** Default the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds since 1970; default the wall clock. For tests. */
  readonly now?: () => number;
}

const maxAgeMs = 10 * 60_000;
const cooldownMs = 30_000;
const staleMs = 24 * 60 * 60_000;
const timeoutMs = 5_000;

/** How the algorithms of an issuer verify (RFC 7518 3.3 and 3.4, RFC 8037). */
const algorithms: Readonly<
  Record<string, { readonly members: object; readonly import: object; readonly verify: object }>
> = {
  ES256: {
    members: { kty: "EC", crv: "P-256" },
    import: { name: "ECDSA", namedCurve: "P-256" },
    verify: { name: "ECDSA", hash: "SHA-256" },
  },
  RS256: {
    members: { kty: "RSA" },
    import: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    verify: { name: "RSASSA-PKCS1-v1_5" },
  },
  Ed25519: { members: { kty: "OKP", crv: "Ed25519" }, import: { name: "Ed25519" }, verify: { name: "Ed25519" } },
};

/**
 * The keys of a project's issuer, for {@link verifyAssertion}: make it once. They are fetched when first needed, again after 10 minutes or
 * for an unknown `kid` (at most every 30 s), and count for a day when they cannot be fetched. Redirects are an error. Throws as
 * `createControlClient` for an issuer that is no such URL.
 */
export function assertionKeys({
  issuer,
  fetch = globalThis.fetch,
  now = Date.now,
}: AssertionKeysOptions): AssertionKeys {
  const url = parseTarget(issuer).resolve("/.well-known/jwks.json");
  let held: { readonly set: AssertionKeys; readonly atMs: number } | undefined;
  let triedMs = Number.NEGATIVE_INFINITY;
  let pending: { readonly loaded: Promise<true>; readonly startedMs: number } | undefined;
  const load = async (): Promise<true> => {
    triedMs = now();
    const set = fixedKeys(await fetchKeySet(fetch, url));
    held = { set, atMs: now() };
    return true;
  };
  // For a limited time: on edge workers what a request that has ended had begun never settles, and all later ones would wait for it for ever.
  const renew = async (): Promise<void> => {
    if (pending === undefined || Math.abs(now() - pending.startedMs) >= timeoutMs) {
      const mine = { loaded: load(), startedMs: now() };
      pending = mine;
      const end = () => {
        if (pending === mine) pending = undefined;
      };
      mine.loaded.then(end, end);
    }
    const isLoaded = await within(defaultPlatform, pending.loaded, timeoutMs);
    if (!isLoaded) throw new Error("the issuer's key set did not come in time");
  };
  return {
    async find(kid, alg) {
      const ageMs = held === undefined ? Number.POSITIVE_INFINITY : now() - held.atMs;
      const mayTry = pending !== undefined || now() - triedMs >= cooldownMs;
      if (ageMs >= staleMs) await renew();
      else if (ageMs >= maxAgeMs && mayTry) await renew().catch(() => undefined);
      const found = await held?.set.find(kid, alg);
      if (found !== undefined || now() - triedMs < cooldownMs) return found;
      // Signed with a key that is new, or with none of ours.
      await renew().catch(() => undefined);
      return held?.set.find(kid, alg);
    },
  };
}

/** The keys of a set that is at hand. Keys without `kid`, and for other uses than signatures, are passed over. */
export function fixedKeys({ keys }: JsonWebKeySet): AssertionKeys {
  return {
    async find(kid, alg) {
      const algorithm = Object.hasOwn(algorithms, alg) ? algorithms[alg] : undefined;
      if (algorithm === undefined) return undefined;
      // The key says what it is for: an algorithm of the token's choice would be the forger's.
      const wanted = Object.entries({ ...algorithm.members, kid, alg, use: "sig" });
      const jwk = keys.find((key) => wanted.every(([name, value]) => (key as Record<string, unknown>)[name] === value));
      return jwk && publicKey(jwk as JsonWebKey, algorithm);
    },
  };
}

async function publicKey(
  { kty, crv, x, y, n, e }: JsonWebKey,
  algorithm: { readonly import: object; readonly verify: object },
): Promise<AssertionKey> {
  const members = Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined);
  const jwk = Object.fromEntries(members) as JsonWebKey;
  const key = await crypto.subtle.importKey("jwk", jwk, algorithm.import as EcKeyImportParams, false, ["verify"]);
  return {
    verify: (input, signature) =>
      crypto.subtle.verify(algorithm.verify as EcdsaParams, key, signature, new TextEncoder().encode(input)),
  };
}

async function fetchKeySet(fetch: typeof globalThis.fetch, url: string): Promise<JsonWebKeySet> {
  const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) throw new Error(`the issuer's key set answers ${response.status}`);
  const set = (await response.json()) as Partial<JsonWebKeySet> | null;
  if (!Array.isArray(set?.keys)) throw new Error("the issuer's key set is none");
  return { keys: set.keys.filter((key: unknown): key is object => typeof key === "object" && key !== null) };
}
