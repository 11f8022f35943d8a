import { createHash } from "node:crypto";
import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import { ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { type Client, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { type LogoutToken, verifyLogoutToken } from "../../jwt/logout-token.ts";
import { TokenFault } from "../../jwt/token-fault.ts";
import type { TrustedIssuer } from "../../jwt/trust.ts";
import type { Principal } from "../../model/api-key.ts";
import { reasonOf } from "../../model/errors.ts";
import type { PlainAnswer, PlainRequest, PlainRoute } from "../../model/plain-http.ts";
import { projectName } from "../../model/resource-name.ts";
import { compileStoredIssuer } from "../compile-link.ts";
import type { Deps } from "../deps.ts";
import { callAs } from "./call-as.ts";
import { faultOfThrown } from "./endpoint.ts";
import { emptyAnswer, faultAnswer, OAuthFault } from "./fault.ts";
import { readForm } from "./form.ts";

const PATH = /^\/p\/([a-z][a-z0-9-]{1,38}[a-z0-9])\/issuers\/([a-z][a-z0-9-]{0,62})\/backchannel-logout$/;

/**
 * `<issuer>/issuers/<id>/backchannel-logout`: an issuer elsewhere tells that somebody has signed out (OpenID Connect
 * Back-Channel Logout 1.0, 2.5-2.8). It becomes a revocation of that issuer's tokens, and of those exchanged for them, at
 * every proxy. Served only for issuers with `logout_client_ids`; the token's signature is the only credential.
 * @param api calls the API as whom a call's values name
 */
export function createLogoutRoute(deps: Deps, api: Transport): PlainRoute {
  const revocations = createClient(RevocationService, api);
  return async (request) => {
    const [, project, id] = PATH.exec(request.path) ?? [];
    if (project === undefined || id === undefined) return undefined;
    const trusted = await compileStoredIssuer(deps, project, id);
    if (trusted?.issuer.logoutClientIds === undefined) return undefined;
    const call = { request, requestId: deps.random.uuid(), project, trusted };
    const outcome = await logOut(deps, revocations, call).catch((thrown: unknown) =>
      faultOfThrown(thrown, call.requestId, deps.log),
    );
    const answer = outcome instanceof OAuthFault ? faultAnswer(outcome) : outcome;
    return { ...answer, headers: { ...answer.headers, "X-Request-ID": call.requestId } };
  };
}

interface LogoutCall {
  readonly request: PlainRequest;
  readonly requestId: string;
  /** Id. */
  readonly project: string;
  readonly trusted: TrustedIssuer;
}

async function logOut(
  { clock }: Deps,
  revocations: Client<typeof RevocationService>,
  call: LogoutCall,
): Promise<PlainAnswer | OAuthFault> {
  const { request, project, trusted } = call;
  if (request.method !== "POST")
    return new OAuthFault("invalid_request", "Use POST", { status: 405, headers: { Allow: "POST" } });
  const form = await readForm(request);
  if (form instanceof OAuthFault) return form;
  const text = form.get("logout_token");
  if (text === undefined) return new OAuthFault("invalid_request", "logout_token is missing");
  const token = await verifyLogoutToken(text, trusted, clock);
  if (token instanceof TokenFault) return refusalOf(token);
  const { name: issuer } = trusted.issuer;
  // In the trail the issuer is who withdraws; it may do nothing else.
  const principal: Principal = { apiKey: issuer, role: "editor", project };
  const revocation = { target: targetOf(token, issuer), reason: "back-channel log-out" };
  const created = { parent: projectName(project), revocationId: idOfLogout(issuer, token), revocation };
  try {
    await revocations.createRevocation(created, callAs(principal, call));
  } catch (thrown) {
    if (!isRepetition(thrown)) throw thrown;
    return new OAuthFault("invalid_request", "logout_token was used before");
  }
  return emptyAnswer();
}

/** 2.7: with `sid` that session, else all of the person's; of this issuer, and of no other. */
function targetOf({ subject = "", session }: LogoutToken, issuer: string) {
  if (session === undefined) return { case: "subject", value: { subject, issuer } } as const;
  return { case: "session", value: { sessionId: session, issuer } } as const;
}

/** From issuer and `jti`: the database lets each be used once, at whichever replica it arrives (2.6, step 7). */
const idOfLogout = (issuer: string, { tokenId }: LogoutToken): string =>
  `logout-${createHash("sha256").update(`${issuer}\n${tokenId}`).digest("hex").slice(0, 48)}`;

function isRepetition(thrown: unknown): boolean {
  const [info] = thrown instanceof ConnectError ? thrown.findDetails(ErrorInfoSchema) : [];
  return info?.reason === reasonOf("resource_exists");
}

function refusalOf({ code, jwtError }: TokenFault): OAuthFault {
  if (code === "issuer_unreachable")
    return new OAuthFault("temporarily_unavailable", "The issuer's keys cannot be had", {
      headers: { "Retry-After": "30" },
    });
  return new OAuthFault("invalid_request", `logout_token is refused: ${jwtError}`);
}
