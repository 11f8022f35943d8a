import { RESERVED_CLAIMS } from "../../jwt/mint.ts";
import type { Claims } from "../../model/claims.ts";
import type { Issuer } from "../../model/issuer.ts";
import { parseClaimPath, readClaim } from "../../policy/claims.ts";

/** What an exchanged token says of the person besides `sub` and `scope`. */
export interface ExchangedClaims {
  readonly roles: readonly string[];
  readonly claims: Claims;
}

/** What tells of the old token and how the person signed in there, not of the person. */
const DROPPED_CLAIMS: ReadonlySet<string> = new Set([
  ...RESERVED_CLAIMS,
  ...["azp", "scp", "may_act", "auth_time", "acr", "amr", "s_hash", "events", "typ", "ver", "rh", "uti"],
]);

/** Claims about the person from a token of this issuer: those that it maps, or all under their own names. */
export function exchangedClaims(claims: Claims, { exchangeClaims }: Issuer): ExchangedClaims {
  const { roles, ...further } = exchangeClaims === undefined ? claims : mapped(claims, exchangeClaims);
  const isMapped = exchangeClaims !== undefined;
  const kept = Object.entries(further).filter(([name]) => isMapped || !DROPPED_CLAIMS.has(name));
  return { roles: rolesOf(roles), claims: Object.fromEntries(kept) };
}

/** A claim that the token lacks is not made up. */
function mapped(claims: Claims, mapping: Readonly<Record<string, string>>): Claims {
  const found = Object.entries(mapping).map(([name, path]) => {
    const parsed = parseClaimPath(path);
    return [name, "value" in parsed ? readClaim(claims, parsed.value.path) : undefined] as const;
  });
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

const rolesOf = (roles: unknown): string[] =>
  (Array.isArray(roles) ? roles : [roles]).filter((role) => typeof role === "string" && role !== "");
