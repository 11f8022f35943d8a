import { create } from "@bufbuild/protobuf";
import {
  type Session as SessionMessage,
  SessionSchema,
  Session_State as State,
} from "@conduit-link/proto/conduit/v1/session_service_pb";
import type { Session } from "../model/session.ts";
import { timestampFromMs } from "./time.ts";

/** @param nowMs decides `state` */
export function sessionToProto(session: Session, nowMs: number): SessionMessage {
  const { name, subject, links, scope, deviceLabel, clientId, revokeReason } = session;
  const message = create(SessionSchema, {
    name,
    subject,
    links: [...links],
    scope,
    deviceLabel,
    clientId,
    revokeReason,
  });
  message.state = stateAt(session, nowMs);
  message.createTime = timestampFromMs(session.createTimeMs);
  message.lastUseTime = timestampFromMs(session.lastUseTimeMs);
  message.expireTime = timestampFromMs(session.expireTimeMs);
  message.revokeTime = timestampFromMs(session.revokeTimeMs);
  return message;
}

function stateAt({ revokeTimeMs, expireTimeMs }: Session, nowMs: number): State {
  if (revokeTimeMs !== undefined) return State.REVOKED;
  return nowMs < expireTimeMs ? State.ACTIVE : State.EXPIRED;
}
