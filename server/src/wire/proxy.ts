import { create } from "@bufbuild/protobuf";
import {
  type Proxy as ProxyMessage,
  ProxySchema,
  type RejectedResource as RejectedResourceMessage,
  RejectedResourceSchema,
} from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import type { ProxyInstance, RejectedResource } from "../model/proxy.ts";
import { timestampFromMs } from "./time.ts";

/** Where a proxy stands, seen from the replica that answers. */
export interface ProxyStanding {
  /** Changes it is behind. */
  readonly lag: bigint;
  /** Whether its stream is open at this replica. */
  readonly connected: boolean;
}

export function proxyToProto(proxy: ProxyInstance, { lag, connected }: ProxyStanding): ProxyMessage {
  const message = create(ProxySchema, {
    name: proxy.name,
    displayName: proxy.displayName,
    version: proxy.softwareVersion,
    appliedSequence: proxy.appliedSequence,
    lag,
    connected,
    rejected: proxy.rejected.map(rejectedToProto),
  });
  message.createTime = timestampFromMs(proxy.createTimeMs);
  message.lastSeenTime = timestampFromMs(proxy.lastSeenTimeMs);
  return message;
}

export const rejectedToProto = ({ name, version, message }: RejectedResource): RejectedResourceMessage =>
  create(RejectedResourceSchema, { name, version: BigInt(version), message });

export const rejectedFromProto = ({ name, version, message }: RejectedResourceMessage): RejectedResource => ({
  name,
  version: version.toString(),
  message,
});
