import { isInNetworks } from "../policy/client-address.ts";
import type { JudgedRequest, Routed, WithApp } from "./judged-request.ts";
import type { CompiledLinkToken } from "./link-token-set.ts";
import { Refusal } from "./refusal.ts";

/**
 * Stage 4: which app calls (contract.md 2). A link token proves nothing about the person; it can be withdrawn, and bound
 * to origins and networks.
 */
export function judgeLinkToken<R extends Routed>(routed: R, nowMs: number): (R & WithApp) | Refusal {
  const { link, request } = routed;
  const mode = link.link.linkTokenMode;
  const texts = mode === "OFF" ? [] : [...new Set(request.accessTokens.map((text) => text.trim()))].filter(Boolean);
  const [text] = texts;
  if (text === undefined) {
    if (mode === "REQUIRED") return new Refusal("link_token_missing", { challenge: { realm: "app" } });
    return { ...routed, app: { linkToken: undefined } };
  }
  const found = texts.length === 1 ? link.linkTokens.find(text) : undefined;
  // Unknown, another link's, expired, revoked: one answer, so that nothing can be learned by trying.
  if (found === undefined || nowMs >= (found.token.expireTimeMs ?? Number.POSITIVE_INFINITY)) {
    return new Refusal("link_token_invalid", { challenge: { realm: "app", error: "invalid_token" } });
  }
  return restrictionRefusal(found, request) ?? { ...routed, app: { linkToken: found.token.name } };
}

/** A request without `Origin` is from no listed origin: only browsers send it, and only a browser's can be believed. */
function restrictionRefusal({ token, networks }: CompiledLinkToken, request: JudgedRequest): Refusal | undefined {
  const { allowedOrigins, allowedAddresses } = token;
  if (allowedOrigins.length > 0 && !allowedOrigins.includes(request.origin ?? "")) return new Refusal("origin_denied");
  if (allowedAddresses.length > 0 && !isInNetworks(request.clientAddress, networks)) {
    return new Refusal("address_denied");
  }
  return undefined;
}
