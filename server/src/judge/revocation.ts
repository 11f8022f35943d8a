import { JWT_ERRORS } from "../jwt/token-fault.ts";
import type { RevocationIndex } from "../policy/revocation.ts";
import type { JudgedLink } from "./judged-link.ts";
import type { Routed, User, WithRevocation, WithUser } from "./judged-request.ts";
import { Refusal } from "./refusal.ts";

/** Stage 6: whether the user's token was withdrawn. Looked up for each request, also for tokens verified before. */
export function judgeRevocation<R extends Routed & WithUser>(
  routed: R,
  revocations: RevocationIndex,
  nowMs: number,
): (R & WithRevocation) | Refusal {
  const { link, user } = routed;
  if (user !== undefined && isRevoked(link, user, revocations, nowMs)) {
    const challenge = { realm: "user", error: "invalid_token" } as const;
    return new Refusal("token_revoked", { jwtError: JWT_ERRORS.revoked, challenge });
  }
  return { ...routed, notRevokedAtMs: nowMs };
}

/** Whether a revocation applies to a user on a link; live answers ask again. */
export function isRevoked(link: JudgedLink, user: User, revocations: RevocationIndex, nowMs: number): boolean {
  const { claims, issuer, kid } = user;
  const token = {
    project: link.project,
    link: link.link.name,
    issuer: issuer.name,
    kid,
    jti: textOf(claims.jti),
    sid: textOf(claims.sid),
    sub: textOf(claims.sub),
    iat: typeof claims.iat === "number" ? claims.iat : undefined,
  };
  return revocations.isRevoked(token, nowMs);
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
