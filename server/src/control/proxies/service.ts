import {
  type JoinProxyRequest,
  ListProxiesRequestSchema,
  type Proxy as ProxyMessage,
  type ProxyService,
} from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { ConduitError } from "../../model/errors.ts";
import { proxyName } from "../../model/resource-name.ts";
import { generateToken, hashToken, isTokenOf } from "../../model/token-string.ts";
import { recordAudit } from "../../store/audit.ts";
import { consumeJoinToken, insertJoinToken } from "../../store/join-tokens.ts";
import { insertProxy, listProxies, type ProxyRow } from "../../store/proxies.ts";
import { proxyToProto } from "../../wire/proxy.ts";
import { timestampFromMs } from "../../wire/time.ts";
import { type AuditedCall, auditBy, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { headSequence } from "../log-head.ts";
import { newId } from "../new-id.ts";
import { readPage } from "../page-token.ts";
import type { ProxyStatuses } from "../proxy-status.ts";

/** contract.md 11. */
const JOIN_TOKEN_LIFETIME_MS = 60 * 60 * 1000;

/** What is known about proxies beside their rows. */
export interface Presence {
  readonly statuses: ProxyStatuses;
  /** Whether a proxy (resource name) has its stream here. */
  isConnected(proxy: string): boolean;
}

export const proxyService = (deps: Deps, presence: Presence): ServiceImpl<typeof ProxyService> => ({
  async createJoinToken({ displayName }, context) {
    const token = generateToken("joinToken", deps.random).reveal();
    const nowMs = deps.clock.now();
    const expireTimeMs = nowMs + JOIN_TOKEN_LIFETIME_MS;
    const configSequence = await deps.store.transaction(async (tx) => {
      const times = { createTime: new Date(nowMs), expireTime: new Date(expireTimeMs) };
      await insertJoinToken(tx, { tokenHash: hashToken(token), displayName, ...times });
      await recordAudit(tx, auditOf(context, "proxies/-", nowMs, { display_name: displayName }));
      return headSequence(tx);
    });
    const expireTime = timestampFromMs(expireTimeMs);
    return { joinToken: token, configSequence, ...(expireTime && { expireTime }) };
  },

  joinProxy: (request, context) => joinProxy(deps, request, context),

  async listProxies(request, context) {
    const { apiKey } = principalOf(context);
    const scope = { method: ListProxiesRequestSchema.typeName, filter: [], principal: apiKey };
    const read = (after = "", limit = 0) => deps.store.read((reader) => listProxies(reader, after, limit));
    const { rows, nextPageToken } = await readPage(deps.pageTokens, scope, request, read, (row) => row.id);
    // Read after the rows: a proxy may be ahead of an older head, never of this one.
    const head = await deps.store.read(headSequence);
    return { proxies: rows.map((row) => proxyMessageOf(row, head, presence)), nextPageToken, headSequence: head };
  },
});

/** Of any number of calls with one token, one gets a credential. */
async function joinProxy(
  deps: Deps,
  { joinToken, displayName }: JoinProxyRequest,
  context: AuditedCall,
): Promise<{ proxy: ProxyMessage; credential: string; configSequence: bigint }> {
  if (!isTokenOf("joinToken", joinToken)) throw new ConduitError("join_token_invalid");
  const credential = generateToken("proxyCredential", deps.random).reveal();
  const id = newId(deps.random, displayName, "proxy");
  const now = new Date(deps.clock.now());
  const { row, head } = await deps.store.transaction(async (tx) => {
    const used = await consumeJoinToken(tx, hashToken(joinToken), id, now);
    if (used === undefined) throw new ConduitError("join_token_invalid");
    const name = displayName || used.displayName;
    const row = await insertProxy(tx, {
      id,
      credentialHash: hashToken(credential),
      displayName: name,
      createTime: now,
    });
    await recordAudit(tx, auditBy(proxyName(id), context, proxyName(id), now.getTime()));
    return { row, head: await headSequence(tx) };
  });
  const standing = { lag: head, connected: false };
  return { proxy: proxyToProto(instanceOf(row), standing), credential, configSequence: head };
}

function proxyMessageOf(row: ProxyRow, head: bigint, { statuses, isConnected }: Presence): ProxyMessage {
  const latest = { ...row, ...statuses.pending(row.id) };
  const behind = head - latest.appliedSequence;
  const standing = { lag: behind > 0n ? behind : 0n, connected: isConnected(proxyName(row.id)) };
  return proxyToProto(instanceOf(latest), standing);
}

const instanceOf = (row: ProxyRow) => ({
  name: proxyName(row.id),
  displayName: row.displayName,
  softwareVersion: row.softwareVersion,
  appliedSequence: row.appliedSequence,
  rejected: row.rejected,
  createTimeMs: row.createTime.getTime(),
  ...(row.lastSeenTime !== null && { lastSeenTimeMs: row.lastSeenTime.getTime() }),
});
