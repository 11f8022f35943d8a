import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type RevocationConfig, RevocationConfigSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import {
  type Revocation as RevocationMessage,
  RevocationSchema,
} from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import { ConduitError } from "../model/errors.ts";
import {
  REVOCATION_KEY_BYTES,
  type Revocation,
  type RevocationEntry,
  type RevocationTarget,
} from "../model/revocation.ts";
import { msFromTimestamp, timestampFromMs } from "./time.ts";

type TargetMessage = NonNullable<MessageInitShape<typeof RevocationSchema>["target"]>;

/** What of a target the message leaves to defaults. */
export interface TargetDefaults {
  readonly project: string;
  /** For `issued_before`. */
  readonly nowMs: number;
}

/** @throws ConduitError `field_invalid` when no target is set, or one that this version does not know */
export function revocationTargetFromProto(
  { target }: RevocationMessage,
  { project, nowMs }: TargetDefaults,
): RevocationTarget {
  switch (target.case) {
    case "tokenId":
      return { kind: "token", project, id: target.value };
    case "sessionId":
      return { kind: "session", project, id: target.value };
    case "session":
      return { kind: "session", project, id: target.value.sessionId, issuer: target.value.issuer };
    case "subject": {
      const { subject, issuer, issuedBefore } = target.value;
      return { kind: "subject", project, issuer, subject, issuedBeforeMs: msFromTimestamp(issuedBefore) ?? nowMs };
    }
    case "issuer": {
      const { issuer, issuedBefore } = target.value;
      return { kind: "issuer", issuer, issuedBeforeMs: msFromTimestamp(issuedBefore) ?? nowMs };
    }
    case "link": {
      const { link, issuedBefore } = target.value;
      return { kind: "link", link, issuedBeforeMs: msFromTimestamp(issuedBefore) ?? nowMs };
    }
    case "key":
      return { kind: "key", issuer: target.value.issuer, kid: target.value.kid };
    default:
      throw new ConduitError("field_invalid", { detail: "revocation.target is not set" });
  }
}

export function revocationToMessage(revocation: Revocation): RevocationMessage {
  const { name, target, reason } = revocation;
  const message = create(RevocationSchema, { name, target: targetToProto(target), reason });
  message.expireTime = timestampFromMs(revocation.expireTimeMs);
  message.createTime = timestampFromMs(revocation.createTimeMs);
  return message;
}

function targetToProto(target: RevocationTarget): TargetMessage {
  switch (target.kind) {
    case "token":
      return { case: "tokenId", value: target.id };
    case "session": {
      const { id: sessionId, issuer } = target;
      return issuer === undefined
        ? { case: "sessionId", value: sessionId }
        : { case: "session", value: { sessionId, issuer } };
    }
    case "subject": {
      const { subject, issuer } = target;
      return { case: "subject", value: { subject, issuer, ...issuedBeforeOf(target) } };
    }
    case "issuer":
      return { case: "issuer", value: { issuer: target.issuer, ...issuedBeforeOf(target) } };
    case "link":
      return { case: "link", value: { link: target.link, ...issuedBeforeOf(target) } };
    case "key":
      return { case: "key", value: { issuer: target.issuer, kid: target.kid } };
  }
}

function issuedBeforeOf({ issuedBeforeMs }: { readonly issuedBeforeMs: number }) {
  const issuedBefore = timestampFromMs(issuedBeforeMs);
  return issuedBefore === undefined ? {} : { issuedBefore };
}

/** @param name in the stream: 32 hexadecimal digits */
export function revocationEntryToProto(entry: RevocationEntry, name: string): RevocationConfig {
  const { targetKey, issuedBeforeS, expireTimeS } = entry;
  const message = create(RevocationConfigSchema, { name: Buffer.from(name, "hex"), targetKey });
  message.issuedBefore = issuedBeforeS === undefined ? undefined : timestampFromMs(issuedBeforeS * 1000);
  message.expireTime = timestampFromMs(expireTimeS * 1000);
  return message;
}

/** @throws ConduitError `field_invalid` for a key or name of another length, which could not even be compared */
export function revocationEntryFromProto(message: RevocationConfig): RevocationEntry {
  const { name, targetKey, issuedBefore, expireTime } = message;
  if (name.length !== REVOCATION_KEY_BYTES || targetKey.length !== REVOCATION_KEY_BYTES)
    throw new ConduitError("field_invalid", { detail: "a revocation's key has a wrong length" });
  const issuedBeforeS = issuedBefore === undefined ? undefined : Number(issuedBefore.seconds);
  return { targetKey, issuedBeforeS, expireTimeS: Number(expireTime?.seconds ?? 0n) };
}
