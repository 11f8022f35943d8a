import { create } from "@bufbuild/protobuf";
import {
  type LinkToken as LinkTokenMessage,
  LinkTokenSchema,
  LinkToken_State as LinkTokenState,
} from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import type { LinkToken } from "../model/link-token.ts";
import { metaToProto, type ResourceMeta } from "./resource-meta.ts";
import { msFromTimestamp, timestampFromMs } from "./time.ts";

/** @param tokenHash not in the message: SHA-256 of the text, lower case hex */
export function linkTokenFromProto(message: LinkTokenMessage, tokenHash: string): LinkToken {
  const expireTimeMs = msFromTimestamp(message.expireTime);
  return {
    name: message.name,
    displayName: message.displayName,
    tokenHash,
    allowedOrigins: message.allowedOrigins,
    allowedAddresses: message.allowedAddresses,
    ...(expireTimeMs !== undefined && { expireTimeMs }),
  };
}

/**
 * The token without its text.
 * @param shown absent in the config stream: `nowMs` decides `state`
 */
export function linkTokenToProto(
  linkToken: LinkToken,
  shown?: { meta: ResourceMeta; nowMs: number },
): LinkTokenMessage {
  const message = create(LinkTokenSchema, {
    ...metaToProto(shown?.meta),
    name: linkToken.name,
    displayName: linkToken.displayName,
    allowedOrigins: [...linkToken.allowedOrigins],
    allowedAddresses: [...linkToken.allowedAddresses],
  });
  message.expireTime = timestampFromMs(linkToken.expireTimeMs);
  if (shown !== undefined) message.state = stateAt(linkToken, shown.nowMs);
  return message;
}

const stateAt = ({ expireTimeMs }: LinkToken, nowMs: number): LinkTokenState =>
  expireTimeMs !== undefined && expireTimeMs <= nowMs ? LinkTokenState.EXPIRED : LinkTokenState.ACTIVE;
