import type { JudgedLink } from "../../judge/judged-link.ts";
import type { Refusal } from "../../judge/refusal.ts";
import type { User } from "../../judge/user.ts";
import { judgeAlone } from "../../judge/verdict.ts";
import { ConduitError, invalidFields } from "../../model/errors.ts";
import type { Deps } from "../deps.ts";
import { revocationsOfUser } from "../stored-revocations.ts";

/** The token alone is judged: nobody calls the link. */
const SCOPE = { skipsLinkToken: true, skipsRules: true } as const;
const REQUEST = {
  ...{ method: "GET", path: "/", query: "" },
  ...{ accessTokens: [], cookies: [], fetchSites: [], origin: undefined, clientAddress: "" },
} as const;

/**
 * The person a token stands for, by the verdict that a proxy would give on each of the links.
 * @throws ConduitError `field_invalid` naming `subject_token` when one refuses it, or the link when it takes no users'
 * tokens; `issuer_unreachable`
 */
export async function judgeSubjectToken(token: string, links: readonly JudgedLink[], deps: Deps): Promise<User> {
  const context = { clock: deps.clock, revocationsOf: revocationsOfUser(deps) };
  const request = { ...REQUEST, authorizations: [`Bearer ${token}`] };
  let judged: User | undefined;
  for (const [index, link] of links.entries()) {
    const { refusal, user } = await judgeAlone({ link, request }, SCOPE, context);
    if (refusal !== undefined) throw refused(refusal);
    if (user === undefined) throw invalidFields([{ field: `links[${index}]`, description: "takes no users' tokens" }]);
    judged = user;
  }
  // The same text everywhere, so the same claims whichever link was last.
  if (judged === undefined) throw new TypeError("the call was not validated: it names no link");
  return judged;
}

function refused({ code, detail }: Refusal): ConduitError {
  if (code === "issuer_unreachable") return new ConduitError(code, { detail });
  return unusableToken(`is not accepted by every link: ${detail}`);
}

/** A token that must not be turned into one of ours. */
export const unusableToken = (description: string): ConduitError =>
  invalidFields([{ field: "subject_token", description }]);
