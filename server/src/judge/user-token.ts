import type { Clock } from "../clock.ts";
import { claimInvalid, claimMissing, JWT_ERRORS, TokenFault } from "../jwt/token-fault.ts";
import { type VerifiedToken, verifyToken } from "../jwt/verify.ts";
import type { Claims } from "../model/claims.ts";
import { judgeCondition, readClaim, wordsOf } from "../policy/claims.ts";
import type { JudgedLink } from "./judged-link.ts";
import type { Routed, WithApp, WithUser } from "./judged-request.ts";
import { queryWithoutToken, readPresentedToken } from "./presented-token.ts";
import { Refusal, refuseToken } from "./refusal.ts";
import type { RefusedTokens } from "./refused-tokens.ts";
import { revocationKeysOf, sourceRevocationOf } from "./revocation-keys.ts";
import type { User } from "./user.ts";

/**
 * Stage 5: which person calls (contract.md 2, 3). The answer is there at once when the token was verified before, else a
 * promise. The values of later stages have the request's query without the token, if it stood there.
 * @param refused refusals of a moment ago, to be used and added to; absent = every token is verified
 */
export function judgeUserToken<R extends Routed & WithApp>(
  routed: R,
  clock: Clock,
  refused?: RefusedTokens,
): (R & WithUser) | Refusal | Promise<(R & WithUser) | Refusal> {
  const { link } = routed;
  const mode = link.link.userTokenMode;
  if (mode === "OFF") return withUser(routed, undefined, queryWithoutToken(routed));
  const presented = readPresentedToken(routed);
  if (presented instanceof Refusal) return presented;
  const { text, query } = presented;
  if (text === undefined) return mode === "REQUIRED" ? missingToken() : withUser(routed, undefined, query);
  const known = link.verifiedTokens.get(text, clock.now());
  if (known !== undefined) return withUser(routed, known, query);
  const refusedBefore = refused?.get(link, text, clock.monotonic());
  if (refusedBefore !== undefined) return refusedBefore;
  return verifyUnseen(link, text, clock).then((user) => {
    if (!(user instanceof Refusal)) return withUser(routed, user, query);
    refused?.add(link, text, user, clock.monotonic());
    return user;
  });
}

function withUser<R extends Routed>(routed: R, user: User | undefined, query: string): R & WithUser {
  const { request } = routed;
  // What was judged is what is sent: the token is no longer part of the query.
  return query === request.query ? { ...routed, user } : { ...routed, user, request: { ...request, query } };
}

/** `token_missing`, for a request that needs a user's token and has none. */
export const missingToken = (): Refusal =>
  new Refusal("token_missing", { jwtError: JWT_ERRORS.missing, challenge: { realm: "user" } });

async function verifyUnseen(link: JudgedLink, text: string, clock: Clock): Promise<User | Refusal> {
  const token = await verifyToken(text, link.verifyPolicy, clock);
  if (token instanceof TokenFault) return refuseToken(token);
  const refusal = requiredClaimRefusal(link, token.claims) ?? scopeRefusal(link, token.claims);
  if (refusal !== undefined) return refusal;
  const user = userOf(link, token);
  link.verifiedTokens.add(token, user);
  return user;
}

function userOf(link: JudgedLink, { claims, trusted, kid, text, validity }: VerifiedToken): User {
  const { issuer } = trusted;
  const source = sourceRevocationOf(link, issuer, claims);
  return {
    claims,
    issuer,
    kid,
    token: text,
    validUntilMs: validity.untilMs,
    revocationKeys: revocationKeysOf(link, issuer.name, kid, claims),
    ...(source !== undefined && { source }),
  };
}

function requiredClaimRefusal({ requiredClaims }: JudgedLink, claims: Claims): Refusal | undefined {
  for (const condition of requiredClaims) {
    const outcome = judgeCondition(condition, claims);
    if (outcome === "missing") return refuseToken(claimMissing(condition.ref.name));
    if (outcome === "unmet") return refuseToken(claimInvalid(condition.ref.name));
  }
  return undefined;
}

/** Scopes in `scope` (RFC 8693 4.2) or, without one, `scp`. */
function scopeRefusal({ link: { scopesAll, scopesAny } }: JudgedLink, claims: Claims): Refusal | undefined {
  if (scopesAll.length === 0 && scopesAny.length === 0) return undefined;
  const held = new Set(wordsOf(readClaim(claims, ["scope"]) ?? readClaim(claims, ["scp"])));
  const hasAny = scopesAny.length === 0 || scopesAny.some((scope) => held.has(scope));
  if (hasAny && scopesAll.every((scope) => held.has(scope))) return undefined;
  const scope = [...new Set([...scopesAll, ...scopesAny])].join(" ");
  const challenge = { realm: "user", error: "insufficient_scope", scope } as const;
  return new Refusal("insufficient_scope", { challenge });
}
