import { JWT_ERRORS } from "../jwt/token-fault.ts";
import type { RevocationIndex } from "../policy/revocation.ts";
import type { Routed, WithRevocation, WithUser } from "./judged-request.ts";
import { Refusal } from "./refusal.ts";
import type { User } from "./user.ts";

/** Stage 6: whether the user's token was withdrawn. Looked up for each request, also for tokens verified before. */
export function judgeRevocation<R extends Routed & WithUser>(
  routed: R,
  revocations: RevocationIndex,
  nowMs: number,
): (R & WithRevocation) | Refusal {
  const { user } = routed;
  if (user !== undefined && isRevoked(user, revocations, nowMs)) {
    const challenge = { realm: "user", error: "invalid_token" } as const;
    return new Refusal("token_revoked", { jwtError: JWT_ERRORS.revoked, challenge });
  }
  return { ...routed, notRevokedAtMs: nowMs };
}

/** Whether a revocation applies to a user, or to the token the user's was exchanged for; live answers ask again. */
export function isRevoked(
  { claims, revocationKeys, source }: User,
  revocations: RevocationIndex,
  nowMs: number,
): boolean {
  const iat = typeof claims.iat === "number" ? claims.iat : undefined;
  if (revocations.isRevoked(revocationKeys, iat, nowMs)) return true;
  return source !== undefined && revocations.isRevoked(source.keys, source.iat, nowMs);
}
