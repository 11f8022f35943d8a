import type { JoinProxyRequest, Proxy as ProxyMessage } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { ConduitError } from "../../model/errors.ts";
import { proxyName } from "../../model/resource-name.ts";
import { generateToken, hashToken, isTokenOf } from "../../model/token-string.ts";
import { recordAudit } from "../../store/audit.ts";
import { consumeJoinToken, insertJoinToken } from "../../store/join-tokens.ts";
import { insertProxy } from "../../store/proxies.ts";
import { proxyToProto } from "../../wire/proxy.ts";
import { timestampFromMs } from "../../wire/time.ts";
import { type AuditedCall, auditBy, auditOf } from "../audit-of.ts";
import type { Deps } from "../deps.ts";
import { headSequence } from "../log-head.ts";
import { newId } from "../new-id.ts";
import { instanceOf } from "./convert.ts";

/** contract.md 11. */
const JOIN_TOKEN_LIFETIME_MS = 60 * 60 * 1000;

/** A token with which one proxy joins, once. */
export async function createJoinToken(
  deps: Deps,
  { displayName }: { readonly displayName: string },
  context: AuditedCall,
) {
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
}

/** Of any number of calls with one token, one gets a credential. @throws ConduitError `join_token_invalid` */
export async function joinProxy(
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
    const credentialHash = hashToken(credential);
    const row = await insertProxy(tx, { id, credentialHash, displayName: name, createTime: now });
    await recordAudit(tx, auditBy(proxyName(id), context, proxyName(id), now.getTime()));
    return { row, head: await headSequence(tx) };
  });
  const standing = { lag: head, connected: false, live: false };
  return { proxy: proxyToProto(instanceOf(row), standing), credential, configSequence: head };
}
