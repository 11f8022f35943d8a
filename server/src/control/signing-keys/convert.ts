import type { SigningKey as SigningKeyMessage } from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { signingKeyName } from "../../model/resource-name.ts";
import { unpublishTimeMs } from "../../policy/signing-key-life.ts";
import type { SigningKeyRow } from "../../store/signing-keys.ts";
import { signingKeyToProto } from "../../wire/signing-key.ts";
import { stateOf } from "../signing-keys.ts";

/** The key without its private half. */
export function signingKeyMessageOf(row: SigningKeyRow, nowMs: number): SigningKeyMessage {
  const { activateTime, scheduledActivateTime, retireTime } = row;
  const state = stateOf(row, nowMs);
  return signingKeyToProto({
    name: signingKeyName(row.project, row.kid),
    purpose: row.purpose,
    algorithm: row.algorithm,
    state,
    publicJwk: row.publicJwk,
    createTimeMs: row.createTime.getTime(),
    ...(activateTime !== null && { activateTimeMs: activateTime.getTime() }),
    ...(scheduledActivateTime !== null && { scheduledActivateTimeMs: scheduledActivateTime.getTime() }),
    ...(retireTime !== null && { retireTimeMs: retireTime.getTime() }),
    ...(retireTime !== null && state === "RETIRING" && { unpublishTimeMs: unpublishTimeMs(retireTime.getTime()) }),
  });
}
