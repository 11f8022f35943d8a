import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type TokenSummary, TokenSummarySchema } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { parseStrictForm } from "../../jwt/strict-form.ts";
import { TokenFault } from "../../jwt/token-fault.ts";
import { wordsOf } from "../../policy/claims.ts";
import { timestampFromMs } from "../../wire/time.ts";

/** What is shown of a claim: whoever asks has the token, but an answer should not be made as large as one wishes. */
const TEXT_MAX = 200;
const ENTRIES_MAX = 32;
/** google.protobuf.Timestamp: the years 1 to 9999. */
const SECONDS_BOUNDS = [-62_135_596_800, 253_402_300_799] as const;

/** What a token says of itself; undefined when it cannot be read. Nothing of its signature, nothing of other claims' values. */
export function summaryOf(text: string, isVerified: boolean): TokenSummary | undefined {
  const token = parseStrictForm(text);
  if (token instanceof TokenFault) return undefined;
  const { claims, algorithm, kid, typ } = token;
  const summary = create(TokenSummarySchema, {
    verified: isVerified,
    algorithm: cut(algorithm),
    keyId: cut(kid),
    type: cut(typ),
    issuer: cut(claims.iss),
    subject: cut(claims.sub),
    audiences: list(Array.isArray(claims.aud) ? claims.aud : [claims.aud]),
    tokenId: cut(claims.jti),
    scopes: list(wordsOf(claims.scope ?? claims.scp)),
    claimNames: list(Object.keys(claims)),
  });
  summary.expireTime = timeOf(claims.exp);
  summary.notBeforeTime = timeOf(claims.nbf);
  summary.issueTime = timeOf(claims.iat);
  return summary;
}

const cut = (value: unknown): string => (typeof value === "string" ? value.slice(0, TEXT_MAX).toWellFormed() : "");

const list = (values: readonly unknown[]): string[] =>
  values
    .filter((value) => typeof value === "string")
    .slice(0, ENTRIES_MAX)
    .map(cut);

/** Undefined for what is no time that can be told. */
function timeOf(seconds: unknown): Timestamp | undefined {
  const [min, max] = SECONDS_BOUNDS;
  const isTime = typeof seconds === "number" && seconds >= min && seconds <= max;
  return isTime ? timestampFromMs(Math.floor(seconds * 1000)) : undefined;
}
