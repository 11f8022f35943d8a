import type { Clock } from "../clock.ts";
import { claimInvalid, claimMissing, JWT_ERRORS, malformed, TokenFault } from "../jwt/token-fault.ts";
import { type VerifiedToken, verifyToken } from "../jwt/verify.ts";
import type { Claims } from "../model/claims.ts";
import { judgeCondition, readClaim, wordsOf } from "../policy/claims.ts";
import type { JudgedLink } from "./judged-link.ts";
import type { Routed, User, WithApp, WithUser } from "./judged-request.ts";
import { Refusal, refuseToken } from "./refusal.ts";

/**
 * Stage 5: which person calls (contract.md 2, 3). The answer is there at once when the token was verified before, else a
 * promise.
 */
export function judgeUserToken<R extends Routed & WithApp>(
  routed: R,
  clock: Clock,
): (R & WithUser) | Refusal | Promise<(R & WithUser) | Refusal> {
  const { link, request } = routed;
  const mode = link.link.userTokenMode;
  if (mode === "OFF") return { ...routed, user: undefined };
  const text = readBearer(request.authorizations);
  if (text instanceof Refusal) return text;
  if (text === undefined) return mode === "REQUIRED" ? missingToken() : { ...routed, user: undefined };
  const known = link.verifiedTokens.get(text, clock.now());
  if (known !== undefined) return { ...routed, user: userOf(known) };
  return verifyUnseen(link, text, clock).then((user) => (user instanceof Refusal ? user : { ...routed, user }));
}

/** `token_missing`, for a request that needs a user's token and has none. */
export const missingToken = (): Refusal =>
  new Refusal("token_missing", { jwtError: JWT_ERRORS.missing, challenge: { realm: "user" } });

/** RFC 9110 11.1: the scheme's case says nothing; RFC 6750 2.1. */
const BEARER = /^bearer[ \t]+(\S+)$/i;

/** The one token in the `Authorization` lines; undefined = there are none. */
function readBearer(values: readonly string[]): string | undefined | Refusal {
  if (values.length === 0) return undefined;
  const texts = new Set(values.map((value) => BEARER.exec(value.trim())?.[1]));
  // Two tokens: whichever is judged, the upstream or a log might read the other.
  if (texts.size > 1) return new Refusal("token_ambiguous");
  const [text] = texts;
  return text ?? refuseToken(malformed("Send the user's token as Authorization: Bearer <JWT>"));
}

async function verifyUnseen(link: JudgedLink, text: string, clock: Clock): Promise<User | Refusal> {
  const token = await verifyToken(text, link.verifyPolicy, clock);
  if (token instanceof TokenFault) return refuseToken(token);
  const refusal = requiredClaimRefusal(link, token.claims) ?? scopeRefusal(link, token.claims);
  if (refusal !== undefined) return refusal;
  link.verifiedTokens.add(token);
  return userOf(token);
}

const userOf = ({ claims, trusted, kid, text, validity }: VerifiedToken): User => ({
  claims,
  issuer: trusted.issuer,
  kid,
  token: text,
  validUntilMs: validity.untilMs,
});

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
