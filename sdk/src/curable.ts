/**
 * Whether a 401 is the proxy's own and a new token can cure it, by its `X-Conduit-Error`. A 401 of the upstream has no such header, and the
 * proxy's other codes (wrong issuer, missing claim …) would come again: neither may cost a refresh.
 */
export function isCurable(code: string | null): boolean {
  return /^token_(missing|expired|revoked|signature_invalid)$/.test(code ?? "");
}
