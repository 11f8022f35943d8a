import { timingSafeEqual } from "node:crypto";
import type { DebugKey } from "../model/debug-key.ts";
import type { DebugMode } from "../model/link.ts";
import { hashToken, isTokenOf } from "../model/token-string.ts";

/** Whether an answer may say why a token was refused. */
export type DebugAccess =
  /** Nobody asked. */
  | "none"
  | "allowed"
  /** Asked where it is off, or with a key that does not count: the answer says what to do. */
  | "denied";

/**
 * What `X-Debug-JWT` opens (contract.md 7): `true` where the link's `debug` is `ON`, a debug key where it is `KEY` (or
 * `ON`, which is open to all).
 * @param values of the `X-Debug-JWT` lines
 */
export function debugAccess(
  values: readonly string[],
  mode: DebugMode,
  keys: readonly DebugKey[],
  nowMs: number,
): DebugAccess {
  const texts = values.map((value) => value.trim()).filter((text) => text !== "");
  if (texts.length === 0) return "none";
  if (mode === "OFF") return "denied";
  if (mode === "ON" && texts.some((text) => text.toLowerCase() === "true")) return "allowed";
  return texts.some((text) => isLiveKey(text, keys, nowMs)) ? "allowed" : "denied";
}

/** Every key is compared, in constant time: how long it takes tells nothing about any of them. */
function isLiveKey(text: string, keys: readonly DebugKey[], nowMs: number): boolean {
  if (!isTokenOf("debugKey", text)) return false;
  const hash = Buffer.from(hashToken(text), "hex");
  let isLive = false;
  for (const { keyHash, expireTimeMs } of keys) {
    const isSame = timingSafeEqual(Buffer.from(keyHash, "hex"), hash);
    if (isSame && nowMs < expireTimeMs) isLive = true;
  }
  return isLive;
}
