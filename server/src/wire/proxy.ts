import { create } from "@bufbuild/protobuf";
import {
  Proxy_State,
  type Proxy as ProxyMessage,
  ProxySchema,
  type RejectedResource as RejectedResourceMessage,
  RejectedResourceSchema,
} from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import type { ProxyInstance, RejectedResource } from "../model/proxy.ts";
import { durationFromMs, timestampFromMs } from "./time.ts";

/** Where a proxy stands, seen from the replica that answers. */
export interface ProxyStanding {
  /** Changes it is behind. */
  readonly lag: bigint;
  /** For how long the oldest of them has been waiting; undefined = not known. */
  readonly lagMs?: number | undefined;
  /** Whether it counts in rollouts. */
  readonly live: boolean;
  /** Whether its stream is open at this replica. */
  readonly connected: boolean;
}

export function proxyToProto(proxy: ProxyInstance, { lagMs, ...standing }: ProxyStanding): ProxyMessage {
  const message = create(ProxySchema, {
    name: proxy.name,
    displayName: proxy.displayName,
    version: proxy.softwareVersion,
    appliedSequence: proxy.appliedSequence,
    ...standing,
    etag: proxy.etag,
    state: proxy.revokeTimeMs === undefined ? Proxy_State.ACTIVE : Proxy_State.REVOKED,
    rejected: proxy.rejected.map(rejectedToProto),
  });
  message.createTime = timestampFromMs(proxy.createTimeMs);
  message.lastSeenTime = timestampFromMs(proxy.lastSeenTimeMs);
  message.credentialCreateTime = timestampFromMs(proxy.credentialCreateTimeMs);
  message.revokeTime = timestampFromMs(proxy.revokeTimeMs);
  message.lagDuration = durationFromMs(lagMs);
  return message;
}

export const rejectedToProto = ({ name, version, message }: RejectedResource): RejectedResourceMessage =>
  create(RejectedResourceSchema, { name, version: BigInt(version), message });

export const rejectedFromProto = ({ name, version, message }: RejectedResourceMessage): RejectedResource => ({
  name,
  version: version.toString(),
  message,
});
