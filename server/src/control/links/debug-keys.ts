import { create } from "@bufbuild/protobuf";
import {
  type CreateDebugKeyRequest,
  CreateDebugKeyRequestSchema,
  type CreateDebugKeyResponse,
  CreateDebugKeyResponseSchema,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import { commitChanges, type Write } from "../../config-log/commit.ts";
import { DEBUG_KEY_LIFETIME_DEFAULT_MS, DEBUG_KEYS_MAX } from "../../model/debug-key.ts";
import { ConduitError } from "../../model/errors.ts";
import { idOf } from "../../model/resource-name.ts";
import { generateToken, hashToken } from "../../model/token-string.ts";
import type { Tx } from "../../store/database.ts";
import { getLink, type LinkRow, linksWithExpiredDebugKeys, lockLink, setDebugKeys } from "../../store/links.ts";
import { msFromDuration, timestampFromMs } from "../../wire/time.ts";
import type { AuditedCall } from "../audit-of.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { newId } from "../new-id.ts";
import { found, readNameInProject } from "../resource-path.ts";
import { linkChange, linkOf } from "./convert.ts";

type StoredKey = LinkRow["debugKeys"][number];

/** Makes a debug key and shows it once. */
export async function createDebugKey(
  deps: Deps,
  request: CreateDebugKeyRequest,
  context: AuditedCall,
): Promise<CreateDebugKeyResponse> {
  const { project, id: link } = readNameInProject("link", request.parent, "parent");
  const nowMs = deps.clock.now();
  const text = generateToken("debugKey", deps.random).reveal();
  const expireTimeMs = nowMs + (msFromDuration(request.lifetime) ?? DEBUG_KEY_LIFETIME_DEFAULT_MS);
  const key = { id: newId(deps.random, "", "debug"), keyHash: hashToken(text), expireTimeMs };
  const resourceName = `${request.parent}/debugKeys/${key.id}`;
  const make = (tx: Tx) => addKey(tx, { project, link }, key, nowMs);
  const outcome = await createOnce(deps, { context, schema: CreateDebugKeyRequestSchema, request, resourceName }, make);
  const isMade = "made" in outcome;
  const shown = isMade ? outcome.made : await keyMadeBefore(deps, project, link, idOf(outcome.earlierName));
  const answer = create(CreateDebugKeyResponseSchema, { configSequence: outcome.sequence });
  answer.expireTime = timestampFromMs(shown.expireTimeMs);
  // The only answer that holds the text: the database has its hash.
  if (isMade) answer.debugKey = text;
  return answer;
}

/** @throws ConduitError `resource_in_use` when the link has as many as it may */
async function addKey(
  tx: Tx,
  { project, link }: { project: string; link: string },
  key: StoredKey,
  nowMs: number,
): Promise<Write<StoredKey>> {
  const row = found(await lockLink(tx, project, link));
  const live = row.debugKeys.filter((it) => it.expireTimeMs > nowMs);
  if (live.length >= DEBUG_KEYS_MAX) {
    const detail = `The link has ${DEBUG_KEYS_MAX} debug keys that count: wait until one expires`;
    throw new ConduitError("resource_in_use", { detail });
  }
  const debugKeys = [...live, key].sort((a, b) => a.expireTimeMs - b.expireTimeMs);
  await setDebugKeys(tx, { project, id: link, debugKeys });
  return { result: key, changes: [linkChange(linkOf(row), debugKeys)] };
}

/** What an earlier call of the same request made, while it counts. */
async function keyMadeBefore(deps: Deps, project: string, link: string, id: string): Promise<StoredKey> {
  const row = found(await deps.store.read((reader) => getLink(reader, project, link)));
  return found(row.debugKeys.find((key) => key.id === id));
}

/** Links swept at once; more are left to the next time. */
const SWEEP_MAX = 100;

/** Takes expired debug keys away, from the database and from the proxies, where they have ceased to count by the clock. */
export async function sweepDebugKeys(deps: Deps): Promise<void> {
  const nowMs = deps.clock.now();
  const stale = await deps.store.read((reader) => linksWithExpiredDebugKeys(reader, new Date(nowMs), SWEEP_MAX));
  for (const { project, id } of stale) {
    await commitChanges(deps.store, "swept", async (tx) => {
      const row = await lockLink(tx, project, id);
      if (row === undefined) return { result: undefined, changes: [] };
      const debugKeys = row.debugKeys.filter((key) => key.expireTimeMs > nowMs);
      await setDebugKeys(tx, { project, id, debugKeys });
      return { result: undefined, changes: [linkChange(linkOf(row), debugKeys)] };
    });
  }
}
