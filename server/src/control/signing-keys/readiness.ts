import { ConduitError } from "../../model/errors.ts";
import { PROXY_HEARD_WITHIN_MS, PUBLISH_LEAD_MS, unpublishTimeMs } from "../../policy/signing-key-life.ts";
import { getConfigHead, knownHead } from "../../store/config-head.ts";
import type { Reader } from "../../store/database.ts";
import { proxiesBehind, type SigningKeyRow } from "../../store/signing-keys.ts";

/** Names in one error at most. */
const NAMED_MAX = 10;

/** Why a pending key may not sign yet; undefined = it may. */
export async function whyNotReady(
  reader: Reader,
  key: SigningKeyRow,
  nowMs: number,
): Promise<ConduitError | undefined> {
  const readyMs = key.createTime.getTime() + PUBLISH_LEAD_MS;
  if (nowMs < readyMs) return tooEarly("Verifiers keep key sets for a while: the key may sign", readyMs);
  const head = knownHead(await getConfigHead(reader));
  // Not noted when the process died right after publishing: then the head is an upper bound.
  const sequence = key.publishedSequence ?? head.sequence;
  const behind = await proxiesBehind(reader, { ...head, sequence }, new Date(nowMs - PROXY_HEARD_WITHIN_MS));
  if (behind.length === 0) return undefined;
  const names = behind.slice(0, NAMED_MAX).map((id) => `proxies/${id}`);
  const detail = `${behind.length} proxies do not have the key yet: ${names.join(", ")}; force skips this`;
  return new ConduitError("precondition_unmet", {
    detail,
    metadata: { condition: "rollout", proxies: names.join(", ") },
  });
}

/** Why tokens of a key may still be in use; undefined = none is. */
export function whyStillInUse({ state, retireTime }: SigningKeyRow): ConduitError | undefined {
  if (state === "ACTIVE") {
    const detail = "The key signs now: rotate it first, or revoke it with force, which ends every token it signed";
    return new ConduitError("precondition_unmet", { detail, metadata: { condition: "signs" } });
  }
  if (state !== "RETIRING" || retireTime === null) return undefined;
  return tooEarly("Tokens it signed are still valid: the key may go", unpublishTimeMs(retireTime.getTime()));
}

function tooEarly(what: string, readyMs: number): ConduitError {
  const ready = new Date(readyMs).toISOString();
  const detail = `${what} from ${ready} on; force skips this`;
  return new ConduitError("precondition_unmet", { detail, metadata: { condition: "time", ready_time: ready } });
}
