import { create } from "@bufbuild/protobuf";
import {
  type ConfigService,
  type ConfigCursor as CursorMessage,
  type ReportConfigStatusRequest,
  type WatchConfigRequest,
  type WatchConfigResponse,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import type { ConfigHub } from "../../config-log/hub.ts";
import { withEncoding } from "../../model/encoded-message.ts";
import { idOf } from "../../model/resource-name.ts";
import { addUsage } from "../../store/usage.ts";
import { keyStatusFromProto } from "../../wire/issuer.ts";
import { rejectedFromProto } from "../../wire/proxy.ts";
import { type Call, proxyOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import type { ProxyStatuses } from "../proxy-status.ts";
import { required } from "../required.ts";
import { rotateCredential } from "./rotate-credential.ts";
import { readUsageBatch } from "./usage-batch.ts";

export const configService = (
  deps: Deps,
  hub: ConfigHub,
  statuses: ProxyStatuses,
): ServiceImpl<typeof ConfigService> => ({
  watchConfig: (request, context) => watchConfig(hub, request, context),

  reportConfigStatus(request, context) {
    const { proxy, isCredentialDue } = proxyOf(context);
    statuses.report(idOf(proxy), statusOf(request, new Date(deps.clock.now())));
    return { rotateCredential: isCredentialDue };
  },

  rotateCredential: (request, context) => rotateCredential(deps, request, context),

  async reportUsage(request, context) {
    proxyOf(context);
    const rows = readUsageBatch(request);
    await deps.store.transaction((tx) => addUsage(tx, request.batchId, rows, new Date(deps.clock.now())));
    return {};
  },
});

/** The frames are encoded once for all streams; the gRPC port writes them as they are (`model/encoded-message.ts`). */
async function* watchConfig(
  hub: ConfigHub,
  { resumeFrom }: WatchConfigRequest,
  context: Call & { readonly signal: AbortSignal },
): AsyncGenerator<WatchConfigResponse> {
  const from = resumeFrom === undefined ? {} : { resumeFrom: cursorOf(resumeFrom) };
  const frames = hub.watch({ proxyName: proxyOf(context).proxy, signal: context.signal, ...from });
  for await (const frame of frames) yield withEncoding(create(WatchConfigResponseSchema), frame);
}

const cursorOf = ({ epoch, sequence, stateDigest }: CursorMessage) => ({ epoch, sequence, digest: stateDigest });

function statusOf(request: ReportConfigStatusRequest, now: Date) {
  const { epoch, sequence } = required(request.applied);
  return {
    softwareVersion: request.proxyVersion,
    appliedEpoch: epoch,
    appliedSequence: sequence,
    rejected: request.rejected.map(rejectedFromProto),
    issuerKeys: request.issuerKeys.flatMap(({ issuer, status }) =>
      status === undefined ? [] : [keyStatusFromProto(issuer, status)],
    ),
    lastSeenTime: now,
  };
}
