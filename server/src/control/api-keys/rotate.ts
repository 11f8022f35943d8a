import type { ApiKey as ApiKeyMessage, RotateApiKeyRequest } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { generateToken, hashToken } from "../../model/token-string.ts";
import { type ApiKeyRow, lockApiKey, replaceKeyText } from "../../store/api-keys.ts";
import { msFromDuration } from "../../wire/time.ts";
import { hintOf } from "../api-key-row.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { requireEtag } from "../etag.ts";
import { found } from "../resource-path.ts";
import { apiKeyMessageOf } from "./convert.ts";
import { readKeyName } from "./key-name.ts";

const OVERLAP_DEFAULT_MS = 24 * 60 * 60 * 1000;

/** Gives a key a new text; the one before counts for the overlap, so that it can be exchanged everywhere in time. */
export async function rotateApiKey(
  deps: Deps,
  { name, etag, overlap }: RotateApiKeyRequest,
  context: AuditedCall,
): Promise<{ apiKey: ApiKeyMessage; configSequence: bigint }> {
  const { project, id } = readKeyName(name, "name");
  const text = generateToken("apiKey", deps.random).reveal();
  const nowMs = deps.clock.now();
  const untilMs = nowMs + (msFromDuration(overlap) ?? OVERLAP_DEFAULT_MS);
  const event = auditOf(context, name, nowMs);
  const { result, sequence } = await commitChanges(deps.store, event, async (tx) => {
    const row = found(await lockApiKey(tx, project, id));
    requireEtag(etag, row);
    const fresh = { keyHash: hashToken(text), hint: hintOf(text), updateTime: new Date(nowMs) };
    return { result: await replaceKeyText(tx, row, { ...fresh, ...previousOf(row, nowMs, untilMs) }), changes: [] };
  });
  return { apiKey: { ...apiKeyMessageOf(result), key: text }, configSequence: sequence };
}

/**
 * The text that still counts beside the new one. Rotated again before its end it stays the same: a caller whose answer
 * was lost, and who has only that one, must not be locked out by trying again.
 */
function previousOf(
  { keyHash, previousKeyHash, previousExpireTime }: ApiKeyRow,
  nowMs: number,
  untilMs: number,
): Pick<ApiKeyRow, "previousKeyHash" | "previousExpireTime"> {
  const endMs = previousExpireTime?.getTime() ?? 0;
  if (untilMs <= nowMs) return { previousKeyHash: null, previousExpireTime: null };
  if (previousKeyHash === null || endMs <= nowMs)
    return { previousKeyHash: keyHash, previousExpireTime: new Date(untilMs) };
  return { previousKeyHash, previousExpireTime: new Date(Math.min(endMs, untilMs)) };
}
