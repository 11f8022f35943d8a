import type { WithRevocation, WithRule, WithUser } from "../judge/judged-request.ts";
import { Refusal, refuseToken } from "../judge/refusal.ts";
import { claimInvalid } from "../jwt/token-fault.ts";
import { ConduitError } from "../model/errors.ts";
import { readClaim } from "../policy/claims.ts";
import { ASSERTION_HEADER } from "./assertions.ts";
import type { CompiledClaimHeader } from "./attach-plan.ts";
import { claimHeaderValue } from "./claim-header-value.ts";
import { canonicalName, connectionListed } from "./header-rules.ts";
import { refuseMissingClaim } from "./missing-claim.ts";
import type { Accepted, WithLimits, WithLink, WithOutgoing } from "./stage-values.ts";

type Judged = WithLink & WithUser & WithRevocation & WithRule & WithLimits;

/**
 * Stage 9, attach: strips what only the proxy may send, adds credential, claims and tracing (contract.md 5). Opens the
 * request's body. Refuses with `bad_request`, `loop_detected`, `token_claim_missing`, `token_claim_invalid`.
 * @param pseudonym this installation's name in `Via`
 */
export function attach<R extends Judged>(limited: R, pseudonym: string): (R & WithOutgoing) | Refusal {
  const { accepted, served, request, forward } = limited;
  const { incoming, head, bodyLength, handshake } = accepted;
  const { attach: plan, judged } = served;
  if (head.via.some((value) => value.includes(pseudonym))) return new Refusal("loop_detected");
  if (plan.ownQueryNames.size > 0) checkQuery(request.query, plan.ownQueryNames);
  const headerLines = keptLines(limited);
  plan.credential.addHeaders(headerLines);
  for (const header of plan.claimHeaders) {
    const refusal = addClaim(headerLines, header, limited);
    if (refusal !== undefined) return refusal;
  }
  addOwn(headerLines, limited, pseudonym);
  const path = `${plan.basePath}${forward.path}${plan.credential.addQuery(sentQuery(limited))}`;
  const body = bodyLength === 0 ? undefined : incoming.body.open(judged.link.requestBodyMaxBytes);
  return {
    ...limited,
    outgoing: { method: incoming.method, path, headerLines, body, isUpgrade: handshake !== undefined },
  };
}

/** As received, to the byte; without the user token where that may stand in the query. */
function sentQuery({ accepted, link, request }: Judged): string {
  if (link.link.userTokenQuery === undefined) return accepted.target.query;
  return request.query === "" ? "" : `?${request.query}`;
}

/** The client's header lines that pass. */
function keptLines({ accepted, served }: Judged): string[] {
  const { incoming, head } = accepted;
  const { isStripped } = served.attach;
  const { headerLines } = incoming;
  const { names } = head;
  const listed = head.connection.length === 0 ? [] : connectionListed(head.connection);
  const kept: string[] = [];
  for (let at = 0; at < names.length; at += 1) {
    const name = canonicalName(names[at] as string);
    if (isStripped(name) || listed.includes(name)) continue;
    kept.push(headerLines[2 * at] as string, headerLines[2 * at + 1] as string);
  }
  return kept;
}

/** The upstream may take the client's copy instead of ours, whichever it reads first. */
function checkQuery(query: string, ownNames: ReadonlySet<string>): void {
  // Some servers still take `;` for `&`.
  for (const name of new URLSearchParams(query.replaceAll(";", "&")).keys()) {
    if (ownNames.has(name)) {
      throw new ConduitError("bad_request", {
        detail: "A query parameter has the name of one that the link adds itself",
      });
    }
  }
}

function addClaim(headerLines: string[], plan: CompiledClaimHeader, judged: Judged): Refusal | undefined {
  const [first] = plan.claims;
  const claims = judged.user?.claims;
  for (const { name, path } of claims === undefined ? [] : plan.claims) {
    const claim = readClaim(claims ?? {}, path);
    if (claim === undefined) continue;
    const result = claimHeaderValue(claim);
    if ("problem" in result) return refuseToken(claimInvalid(name, result.problem));
    headerLines.push(plan.header, result.value);
    return undefined;
  }
  return plan.isRequired ? refuseMissingClaim(judged, first.name) : undefined;
}

function addOwn(headerLines: string[], judged: Judged, pseudonym: string): void {
  const { served, user, notRevokedAtMs } = judged;
  const { requestId, head, bodyLength, handshake } = judged.accepted;
  const { userToken, assertions, sendForwarded, wantsPlainAnswer } = served.attach;
  if (userToken !== undefined && user !== undefined) {
    headerLines.push(userToken.header, `${userToken.prefix}${user.token}`);
  }
  if (assertions !== undefined) headerLines.push(ASSERTION_HEADER, assertions.of(user, requestId, notRevokedAtMs));
  headerLines.push("X-Request-ID", requestId, "Via", `1.1 ${pseudonym}`);
  if (wantsPlainAnswer) headerLines.push("Accept-Encoding", "identity");
  if (sendForwarded) headerLines.push("Forwarded", forwarded(judged.accepted));
  if (handshake !== undefined && handshake.protocols.length > 0) {
    headerLines.push("Sec-WebSocket-Protocol", handshake.protocols.join(", "));
  }
  const [length] = head.contentLength;
  if (bodyLength !== 0 && length !== undefined) headerLines.push("Content-Length", length);
}

/** RFC 7239 4, 6: IPv6 addresses and hosts with ports stand in quotes. */
function forwarded({ clientAddress, target, incoming }: Accepted): string {
  const address = clientAddress.includes(":") ? `"[${clientAddress}]"` : clientAddress;
  const host = /^[A-Za-z0-9._-]+$/.test(target.host) ? target.host : `"${target.host}"`;
  return `for=${address};host=${host};proto=${incoming.isTls ? "https" : "http"}`;
}
