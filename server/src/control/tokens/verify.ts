import { create } from "@bufbuild/protobuf";
import {
  type VerifyTokenRequest,
  type VerifyTokenResponse,
  VerifyTokenResponseSchema,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import type { JudgedRequest } from "../../judge/judged-request.ts";
import { Refusal } from "../../judge/refusal.ts";
import { judgeAlone, type Verdict } from "../../judge/verdict.ts";
import { ERRORS } from "../../model/errors.ts";
import { compileStoredLink } from "../compile-link.ts";
import type { Deps } from "../deps.ts";
import { readNameInProject } from "../resource-path.ts";
import { revocationsOfUser } from "../stored-revocations.ts";
import { summaryOf } from "./token-summary.ts";

/** What the link's proxies would answer, and why. Never throws for a bad token: that is an answer. */
export async function verifyTokenForLink(deps: Deps, request: VerifyTokenRequest): Promise<VerifyTokenResponse> {
  const { project, id } = readNameInProject("link", request.link, "link");
  const link = await compileStoredLink(deps, project, id);
  const text = request.token.trim();
  if (link.link.state === "DISABLED") return answerOf(DISABLED, ["route"], text);
  const scope = { skipsLinkToken: request.linkToken === "", skipsRules: request.path === "" };
  const context = { clock: deps.clock, revocationsOf: revocationsOfUser(deps) };
  const verdict = await judgeAlone({ link, request: judgedRequest(request, text) }, scope, context);
  const answer = answerOf(verdict, verdict.judged, text);
  const isUnread = answer.accepted && text !== "" && link.link.userTokenMode === "OFF";
  return isUnread ? { ...answer, detail: UNREAD } : answer;
}

const UNREAD = "This link does not look at user tokens: its user_token_mode is OFF";

const DISABLED: Verdict = { judged: [], refusal: new Refusal("link_disabled"), user: undefined, rule: undefined };

function judgedRequest(request: VerifyTokenRequest, token: string): JudgedRequest {
  const [path = "", query = ""] = splitTarget(request.path || "/");
  return {
    ...{ method: request.method || "GET", path, query },
    accessTokens: request.linkToken === "" ? [] : [request.linkToken],
    authorizations: token === "" ? [] : [`Bearer ${token}`],
    origin: request.origin || undefined,
    clientAddress: request.clientAddress,
    ...{ cookies: [], fetchSites: [] },
  };
}

function splitTarget(target: string): readonly [path: string, query: string] {
  const at = target.indexOf("?");
  return at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at + 1)];
}

function answerOf({ refusal, user, rule }: Verdict, judged: readonly string[], token: string): VerifyTokenResponse {
  const summary = token === "" ? undefined : summaryOf(token, user !== undefined);
  return create(VerifyTokenResponseSchema, {
    accepted: refusal === undefined,
    judgedStages: [...judged],
    ...(refusal !== undefined && refusalFields(refusal, judged.at(-1) ?? "")),
    ...(rule !== undefined && { ruleIndex: rule.ruleIndex, forwardedPath: rule.forward.path }),
    ...(summary !== undefined && { token: summary }),
  });
}

const refusalFields = ({ code, detail, jwtError = "", expected = "", seen = "" }: Refusal, stage: string) => ({
  ...{ stage, code, detail, jwtError, expected, seen },
  status: ERRORS[code].http,
});
