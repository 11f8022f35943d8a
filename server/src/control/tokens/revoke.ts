import type { RevokeTokenRequest } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { commitChanges } from "../../config-log/commit.ts";
import { revocationName } from "../../model/resource-name.ts";
import type { RevocationTarget } from "../../model/revocation.ts";
import { CLOCKS_MARGIN_MS } from "../../model/token-lifetime.ts";
import type { Reader } from "../../store/database.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { verifyBuiltInToken } from "../built-in-tokens.ts";
import type { Deps } from "../deps.ts";
import { headSequence } from "../log-head.ts";
import { requireProject } from "../require-project.ts";
import { readProjectName } from "../resource-path.ts";
import { defaultExpiryMs, writeRevocation } from "../revocation-write.ts";

/** What to withdraw; `expireTimeMs` undefined = when the last token of the kind has expired. */
interface Withdrawal {
  readonly target: RevocationTarget;
  readonly expireTimeMs?: number;
}

/** Withdraws what the request names. Nothing that counts any more = nothing to do, and no error (RFC 7009 2.2). */
export async function revokeToken(
  deps: Deps,
  request: RevokeTokenRequest,
  context: AuditedCall,
): Promise<{ configSequence: bigint }> {
  const project = readProjectName(request.parent, "parent");
  const withdrawal = await withdrawalOf(deps, project, request);
  if (withdrawal === undefined) return { configSequence: await deps.store.read(headOf(project)) };
  const { target } = withdrawal;
  const nowMs = deps.clock.now();
  const id = deps.random.uuid();
  const event = auditOf(context, revocationName(project, id), nowMs, { target: target.kind, reason: request.reason });
  const { sequence } = await commitChanges(deps.store, event, async (tx) => {
    await requireProject(tx, project);
    const expireTimeMs = withdrawal.expireTimeMs ?? (await defaultExpiryMs(tx, project, target, nowMs));
    const revocation = { project, id, target, expireTimeMs, reason: request.reason };
    const { change } = await writeRevocation(tx, revocation, nowMs);
    return { result: undefined, changes: [change] };
  });
  return { configSequence: sequence };
}

async function withdrawalOf(
  deps: Deps,
  project: string,
  { target }: RevokeTokenRequest,
): Promise<Withdrawal | undefined> {
  if (target.case === "tokenId") return { target: { kind: "token", project, id: target.value } };
  if (target.case === "sessionId") return { target: { kind: "session", project, id: target.value } };
  const verified = await verifyBuiltInToken(deps, project, target.value ?? "");
  const jti = verified?.claims.jti;
  if (verified === undefined || typeof jti !== "string") return undefined;
  return { target: { kind: "token", project, id: jti }, expireTimeMs: verified.validity.untilMs + CLOCKS_MARGIN_MS };
}

const headOf = (project: string) => async (reader: Reader) => {
  await requireProject(reader, project);
  return headSequence(reader);
};
