import {
  type CreateLinkTokenRequest,
  CreateLinkTokenRequestSchema,
  type LinkToken as LinkTokenMessage,
} from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import type { Write } from "../../config-log/commit.ts";
import { idOf, linkTokenName } from "../../model/resource-name.ts";
import { generateToken, hashToken } from "../../model/token-string.ts";
import type { Tx } from "../../store/database.ts";
import { getLinkToken, insertLinkToken, type LinkTokenRow } from "../../store/link-tokens.ts";
import { getLink } from "../../store/links.ts";
import { linkTokenFromProto } from "../../wire/link-token.ts";
import type { AuditedCall } from "../audit-of.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { expiryViolations } from "../expiry.ts";
import { linkTokenOf } from "../link-token-row.ts";
import { newId } from "../new-id.ts";
import { required } from "../required.ts";
import { found, readNameInProject } from "../resource-path.ts";
import { columnsOf, linkTokenChange, linkTokenMessageOf } from "./convert.ts";
import { requireSoundToken } from "./soundness.ts";

export async function createLinkToken(
  deps: Deps,
  request: CreateLinkTokenRequest,
  context: AuditedCall,
): Promise<{ linkToken: LinkTokenMessage; configSequence: bigint }> {
  const { project, id: link } = readNameInProject("link", request.parent, "parent");
  const nowMs = deps.clock.now();
  const id = request.linkTokenId || newId(deps.random, request.linkToken?.displayName ?? "", "token");
  const name = linkTokenName(project, link, id);
  const text = generateToken("linkToken", deps.random).reveal();
  const make = async (tx: Tx): Promise<Write<LinkTokenRow>> => {
    // The project is part of the look-up: a link id alone would reach into other projects.
    found(await getLink(tx, project, link));
    const token = { ...linkTokenFromProto(required(request.linkToken), hashToken(text)), name };
    requireSoundToken(token, expiryViolations("link_token.expire_time", token.expireTimeMs, nowMs));
    const now = new Date(nowMs);
    const row = { ...columnsOf(token), link, id, tokenHash: token.tokenHash, createTime: now, updateTime: now };
    const made = await insertLinkToken(tx, row);
    return { result: made, changes: [linkTokenChange(linkTokenOf(project, made))] };
  };
  const call = { context, schema: CreateLinkTokenRequestSchema, request, resourceName: name };
  const outcome = await createOnce(deps, call, make);
  if ("made" in outcome) {
    // The only answer that holds the text: the database has its hash.
    const linkToken = { ...linkTokenMessageOf(project, outcome.made, nowMs), token: text };
    return { linkToken, configSequence: outcome.sequence };
  }
  const row = await deps.store.read((reader) => getLinkToken(reader, link, idOf(outcome.earlierName)));
  return { linkToken: linkTokenMessageOf(project, found(row), nowMs), configSequence: outcome.sequence };
}
