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

/** `VerifyTokenResponse` as JSON: what is not set is absent. */
interface Verdict {
  readonly accepted?: boolean;
  readonly judgedStages?: readonly string[];
  readonly stage?: string;
  readonly status?: number;
  readonly code?: string;
  readonly detail?: string;
  readonly jwtError?: string;
  readonly expected?: string;
  readonly seen?: string;
  readonly ruleIndex?: number;
  readonly forwardedPath?: string;
  readonly token?: { readonly issuer?: string; readonly subject?: string; readonly expireTime?: string };
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
  const request = { link, token, method, path };
  const verdict = await orExit(
    controlClient(settings).call<Verdict>("conduit.v1.TokenService", "VerifyToken", request),
  );
  if (!json) output.out(sentenceOf(verdict));
  printResult(output, fieldsOf(verdict), json);
}

function sentenceOf({ accepted, stage, status, code, judgedStages = [] }: Verdict): string {
  if (accepted !== true) return `Refused by ${stage}: ${status} ${code}`;
  return judgedStages.includes("authorize") ? "Allowed" : "The token is accepted; give --path to ask the rules";
}

/** In the order people read them; what there is none of is left out. */
function fieldsOf(verdict: Verdict): Record<string, unknown> {
  const { token = {} } = verdict;
  const fields = {
    accepted: verdict.accepted ?? false,
    judged_stages: verdict.judgedStages?.join(" → "),
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
