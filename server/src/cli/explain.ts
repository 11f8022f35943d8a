import type { TokenVerdict } from "@conduit-link/sdk/server";
import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { linkNameOf } from "./link-name.ts";
import { type Output, printResult } from "./output.ts";
import { readToken, type TokenStream } from "./token-input.ts";

export interface ExplainOptions {
  /** Resource name, or id with `project`. */
  readonly link: string;
  readonly project?: string;
  /** `-` = standard input. */
  readonly tokenFile?: string;
  readonly method?: string;
  /** With its query; absent = the rules are not asked. */
  readonly path?: string;
  readonly json: boolean;
}

/** `conduit explain`: which stage of a link would refuse a token or request, and why, or what it would forward. */
export async function explainRequest(
  settings: ClientSettings,
  options: ExplainOptions,
  stdin: TokenStream,
  output: Output,
): Promise<void> {
  const { project, method = "", path = "", json } = options;
  const link = linkNameOf(options.link, project);
  const token = await readToken(options.tokenFile, stdin, output);
  const verdict = await orExit(controlClient(settings).verifyToken({ link, token, method, path }));
  if (!json) output.out(sentenceOf(verdict));
  printResult(output, fieldsOf(verdict), json);
}

function sentenceOf({ accepted, stage, status, code, judgedStages }: TokenVerdict): string {
  if (!accepted) return `Refused by ${stage}: ${status} ${code}`;
  return judgedStages.includes("authorize") ? "Allowed" : "The token is accepted; give --path to ask the rules";
}

/** In the order people read them; what there is none of is left out. */
function fieldsOf(verdict: TokenVerdict): Record<string, unknown> {
  const { token = {} } = verdict;
  const fields = {
    accepted: verdict.accepted,
    judged_stages: verdict.judgedStages.join(" → "),
    stage: verdict.stage,
    status: verdict.status,
    code: verdict.code,
    detail: verdict.detail,
    jwt_error: verdict.jwtError,
    expected: verdict.expected,
    seen: verdict.seen,
    rule_index: verdict.ruleIndex,
    forwarded_path: verdict.forwardedPath,
    issuer: token.issuer,
    subject: token.subject,
    expire_time: token.expireTime,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== ""));
}
