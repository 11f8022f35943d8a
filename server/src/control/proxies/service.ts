import {
  ListProxiesRequestSchema,
  type ProxyService,
  type WaitForRolloutRequest,
} from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { getProxy, listProxies } from "../../store/proxies.ts";
import { msFromDuration } from "../../wire/time.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { readPage } from "../page-token.ts";
import { found, readProxyName } from "../resource-path.ts";
import { describeProxies, describeProxy, type Presence } from "./convert.ts";
import { createJoinToken, joinProxy } from "./join.ts";
import { deleteRevokedProxy, revokeProxy } from "./revoke.ts";
import { createRollouts, rolloutToProto } from "./rollout.ts";
import { requestRotation, updateProxy } from "./update.ts";

export function proxyService(deps: Deps, presence: Presence): ServiceImpl<typeof ProxyService> {
  const rollouts = createRollouts(deps, presence.statuses);
  return {
    createJoinToken: (request, context) => createJoinToken(deps, request, context),
    joinProxy: (request, context) => joinProxy(deps, request, context),

    async getProxy({ name }) {
      const id = readProxyName(name, "name");
      return deps.store.read(async (reader) => {
        const row = found(await getProxy(reader, id));
        return { proxy: await describeProxy(reader, row, presence, deps.clock.now()) };
      });
    },

    async listProxies(request, context) {
      const { apiKey } = principalOf(context);
      const scope = { method: ListProxiesRequestSchema.typeName, filter: [], principal: apiKey };
      const read = (after = "", limit = 0) => deps.store.read((reader) => listProxies(reader, after, limit));
      const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
      const nowMs = deps.clock.now();
      const described = await deps.store.read((reader) => describeProxies(reader, rows, presence, nowMs));
      return { ...described, nextPageToken };
    },

    updateProxy: (request, context) => updateProxy(deps, request, context, presence),
    revokeProxy: (request, context) => revokeProxy(deps, request, context, presence),
    rotateProxyCredential: (request, context) => requestRotation(deps, request, context, presence),
    deleteProxy: (request, context) => deleteRevokedProxy(deps, request, context),

    getRollout: async ({ sequence }) => ({ rollout: rolloutToProto(await rollouts.read(sequence)) }),

    async waitForRollout(request, context) {
      const end = AbortSignal.any([context.signal, presence.stopping]);
      const state = await rollouts.wait(request.sequence, waitMsOf(request, context), end);
      return { rollout: rolloutToProto(state) };
    },
  };
}

const WAIT_DEFAULT_MS = 30_000;
/** So long before the call's own deadline: the answer has to reach the caller. */
const MARGIN_MS = 250;

/** The answer with counts comes in time, whatever deadline the caller has set: it says more than a deadline that passes. */
function waitMsOf({ timeout }: WaitForRolloutRequest, context: HandlerContext): number {
  const leftMs = context.timeoutMs() ?? Number.POSITIVE_INFINITY;
  return Math.max(0, Math.min(msFromDuration(timeout) ?? WAIT_DEFAULT_MS, leftMs - MARGIN_MS));
}
