import type { PlainAnswer } from "../../model/plain-http.ts";

/** Error codes of RFC 6749 5.2, RFC 7009 2.2.1, RFC 8707 2 and, for our own failures, RFC 6749 4.1.2.1; each with its status. */
const STATUS = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  unsupported_token_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  server_error: 500,
  temporarily_unavailable: 503,
} as const;

export type OAuthErrorCode = keyof typeof STATUS;

/** Why an OAuth request was refused. */
export class OAuthFault {
  readonly code: OAuthErrorCode;
  /** Public; names parameters, never their values. */
  readonly description: string;
  /** Instead of the code's own. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** `Set-Cookie` lines. */
  readonly cookies: readonly string[];

  constructor(
    code: OAuthErrorCode,
    description: string,
    more: Partial<Pick<OAuthFault, "status" | "headers" | "cookies">> = {},
  ) {
    this.code = code;
    this.description = description;
    this.status = more.status ?? STATUS[code];
    this.headers = more.headers ?? {};
    this.cookies = more.cookies ?? [];
  }
}

/** RFC 6749 5.1: also in the answers of old caches nothing stays. */
const HEADERS = { "Content-Type": "application/json", "Cache-Control": "no-store", Pragma: "no-cache" } as const;

/** An answer in JSON that nobody may keep. */
export const jsonAnswer = (
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): PlainAnswer => ({ status, headers: { ...HEADERS, ...headers }, body: JSON.stringify(body) });

/** Success that says nothing. */
export const emptyAnswer = (): PlainAnswer => ({ status: 200, headers: { "Cache-Control": "no-store" }, body: "" });

/** The fault as RFC 6749 5.2 writes it. */
export const faultAnswer = ({ status, code, description, headers, cookies }: OAuthFault): PlainAnswer => ({
  ...jsonAnswer(status, { error: code, error_description: plainText(description) }, headers),
  cookies,
});

/** RFC 6749 5.2 leaves out quotes, backslashes and everything but ASCII. */
const plainText = (text: string): string => text.replaceAll('"', "'").replaceAll(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, " ");
