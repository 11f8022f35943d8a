// contract.md 7: one catalogue of errors, in the server's table, in the proto and on the page.
import { readFileSync } from "node:fs";
import { ErrorReasonSchema } from "@conduit-link/proto/conduit/v1/error_reason_pb";
import { describe, expect, test } from "vitest";
import { ERROR_GUIDE } from "../../server/src/model/error-guide.ts";
import { ERRORS, type ErrorCode, reasonOf } from "../../server/src/model/errors.ts";

const codes = Object.keys(ERRORS) as ErrorCode[];

test("the proto's enum and the server's table hold the same errors", () => {
  const names = ErrorReasonSchema.values.map(({ name }) => name).filter((name) => name !== "ERROR_REASON_UNSPECIFIED");
  expect(names.sort()).toEqual(codes.map((code) => `ERROR_REASON_${reasonOf(code)}`).sort());
});

test("statuses are those of contract.md 7", () => {
  const byStatus: Record<number, string> = {
    400: "bad_request path_ambiguous token_ambiguous",
    401:
      "link_token_missing link_token_invalid token_missing token_malformed token_algorithm_refused " +
      "token_signature_invalid token_expired token_not_yet_valid token_issuer_unknown token_audience_mismatch " +
      "token_type_mismatch token_claim_missing token_claim_invalid token_revoked",
    403: "rule_denied insufficient_scope origin_denied address_denied csrf_rejected link_disabled",
    404: "link_unknown",
    408: "request_timeout",
    413: "body_too_large",
    414: "target_too_long",
    431: "head_too_large",
    429: "rate_limited concurrency_limited",
    501: "not_supported",
    502: "upstream_unreachable upstream_invalid upstream_address_refused upstream_redirect_refused",
    503: "upstream_overloaded config_stale issuer_unreachable not_ready",
    504: "upstream_timeout",
    508: "loop_detected",
  };
  for (const [status, names] of Object.entries(byStatus)) {
    for (const code of names.split(" "))
      expect([code, ERRORS[code as ErrorCode]?.http]).toEqual([code, Number(status)]);
  }
});

describe("every error says how it comes about and what to do", () => {
  const page = readFileSync("server/ERRORS.md", "utf8");
  test.each(codes)("%s", (code) => {
    const { cause, remedy } = ERROR_GUIDE[code];
    expect(Math.min(cause.length, remedy.length)).toBeGreaterThan(10);
    expect(page).toContain(`| \`${code}\` | ${ERRORS[code].http} |`);
  });
});
