import type { User } from "../judge/user.ts";
import { ASSERTION_LIFETIME_S, type AssertionKey, signAssertion } from "../jwt/assertion.ts";
import type { Claims } from "../model/claims.ts";
import { type ClaimPath, type ClaimRef, readClaim } from "../policy/claims.ts";

/** A header that no client and no upstream can send through the proxy. */
export const ASSERTION_HEADER = "X-Conduit-Assertion";

/** One is sent again for most of its life: the upstream has at least a quarter of it left to read it. */
const REUSE_MS = (ASSERTION_LIFETIME_S * 1000 * 3) / 4;

/** What a link's assertions are made of. */
export interface AssertionParts {
  readonly key: AssertionKey;
  /** Resource name of the link. */
  readonly link: string;
  /** The upstream's origin. */
  readonly audience: string;
  /** Claims the link maps: the first that a token has is told under the name of the first. */
  readonly claims: readonly (readonly [ClaimRef, ...ClaimRef[]])[];
}

interface Signed {
  readonly text: string;
  readonly signedAtMs: number;
}

/**
 * Tells one link's upstream who calls (`X-Conduit-Assertion`). One JWS holds one request's id, and signing each anew would
 * nearly double what a request costs: so the assertion of a user token is sent again for 45 s, with the id of the request
 * it was made for. Never beyond the token's own verdict, which is given before for each request.
 */
export class Assertions {
  readonly #parts: AssertionParts;
  /** By user: a token that was verified before is the same object. Gone with it. */
  readonly #byUser = new WeakMap<object, Signed>();
  /** Stands for nobody in `#byUser`. */
  readonly #anonymous = {};

  constructor(parts: AssertionParts) {
    this.#parts = parts;
  }

  /** The assertion for a request of this person; undefined = nobody is signed in. */
  of(user: User | undefined, requestId: string, nowMs: number): string {
    const holder = user ?? this.#anonymous;
    const known = this.#byUser.get(holder);
    const ageMs = known === undefined ? -1 : nowMs - known.signedAtMs;
    // A clock that was put back would make it one of the future.
    if (known !== undefined && ageMs >= 0 && ageMs < REUSE_MS) return known.text;
    const text = this.#sign(user, requestId, nowMs);
    this.#byUser.set(holder, { text, signedAtMs: nowMs });
    return text;
  }

  #sign(user: User | undefined, requestId: string, nowMs: number): string {
    const { key, link, audience } = this.#parts;
    const { sub, iss } = user?.claims ?? {};
    const content = {
      ...{ audience, link, requestId },
      claims: user === undefined ? {} : this.#mapped(user.claims),
      subject: typeof sub === "string" ? sub : undefined,
      userIssuer: typeof iss === "string" ? iss : undefined,
    };
    return signAssertion(key, content, nowMs);
  }

  #mapped(claims: Claims): Claims {
    let mapped: Claims = {};
    for (const refs of this.#parts.claims) {
      const found = refs.map(({ path }) => readClaim(claims, path)).find((value) => value !== undefined);
      if (found !== undefined) mapped = withClaim(mapped, refs[0].path, found);
    }
    return mapped;
  }
}

/** A copy with a claim where its path says, as it stands in the user's token. */
function withClaim(claims: Claims, [name, next, ...rest]: ClaimPath, value: unknown): Claims {
  if (next === undefined) return { ...claims, [name]: value };
  const inner = Object.hasOwn(claims, name) ? claims[name] : undefined;
  const object = typeof inner === "object" && inner !== null && !Array.isArray(inner) ? (inner as Claims) : {};
  return { ...claims, [name]: withClaim(object, [next, ...rest], value) };
}
