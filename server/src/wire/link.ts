import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  type ClaimHeader as ClaimHeaderMessage,
  ClaimHeaderSchema,
  ClaimHeader_IfMissing as IfMissing,
  type Limit as LimitMessage,
  LimitSchema,
  type Link as LinkMessage,
  LinkSchema,
  Link_State as LinkState,
  LinkTokenMode,
  DebugMode as ProtoDebugMode,
  UserTokenMode,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import {
  type ClaimHeader,
  type CredentialMode,
  type DebugMode,
  LINK_DEFAULTS,
  type Limit,
  type Link,
} from "../model/link.ts";
import { enumTable } from "./enum-table.ts";
import { metaToProto, type ResourceMeta } from "./resource-meta.ts";
import { claimConditionFromProto, claimConditionToProto, ruleFromProto, ruleToProto } from "./rule.ts";
import { durationFromMs, msFromDuration } from "./time.ts";
import { injectionFromProto, injectionToProto, upstreamFromProto, upstreamToProto } from "./upstream.ts";

const { REQUIRED, OPTIONAL, OFF } = LinkTokenMode;
const LINK_TOKEN_MODES = enumTable<CredentialMode, LinkTokenMode>("link_token_mode", { REQUIRED, OPTIONAL, OFF });
const USER_TOKEN_MODES = enumTable<CredentialMode, UserTokenMode>("user_token_mode", {
  REQUIRED: UserTokenMode.REQUIRED,
  OPTIONAL: UserTokenMode.OPTIONAL,
  OFF: UserTokenMode.OFF,
});
const DEBUG_MODES = enumTable<DebugMode, ProtoDebugMode>("debug", {
  OFF: ProtoDebugMode.OFF,
  KEY: ProtoDebugMode.KEY,
  ON: ProtoDebugMode.ON,
});
const STATES = enumTable("state", { ACTIVE: LinkState.ACTIVE, DISABLED: LinkState.DISABLED });
const IF_MISSING = enumTable("if_missing", { OMIT: IfMissing.OMIT, DENY: IfMissing.DENY });

/** Warnings the API shows with a link (`LinkCondition`). */
export interface Condition {
  readonly type: "AUDIENCE_UNCHECKED" | "REJECTED_BY_PROXIES";
  readonly message: string;
}

/**
 * A complete link from its message, with the defaults of contract.md 2, 5 and 8 for what is not set. Empty lists stay
 * empty: what a new link gets instead is `withNewLinkDefaults`' to say. Checks nothing: that is `policy/link-check.ts`.
 */
export function linkFromProto(message: LinkMessage): Link {
  return {
    name: message.name,
    displayName: message.displayName,
    upstream: upstreamFromProto(message.upstream),
    injections: message.injections.map(injectionFromProto),
    issuers: message.issuers,
    audiences: message.audiences,
    anyAudience: message.anyAudience,
    requireAllAudiences: message.requireAllAudiences,
    requiredClaims: message.requiredClaims.map(claimConditionFromProto),
    scopesAny: message.scopesAny,
    scopesAll: message.scopesAll,
    rules: message.rules.map(ruleFromProto),
    claimHeaders: message.claimHeaders.map(claimHeaderFromProto),
    forwardUserToken: message.forwardUserToken || "OFF",
    limits: message.limits.map(limitFromProto),
    cors: {
      origins: message.cors?.origins ?? [],
      headers: message.cors?.headers ?? [],
      credentials: message.cors?.credentials ?? false,
    },
    linkTokenMode: LINK_TOKEN_MODES.fromProto(message.linkTokenMode, "REQUIRED"),
    userTokenMode: USER_TOKEN_MODES.fromProto(message.userTokenMode, message.issuers.length > 0 ? "REQUIRED" : "OFF"),
    ...(message.userTokenCookie !== "" && { userTokenCookie: message.userTokenCookie }),
    ...(message.userTokenQuery !== "" && { userTokenQuery: message.userTokenQuery }),
    debug: DEBUG_MODES.fromProto(message.debug, "KEY"),
    state: STATES.fromProto(message.state, "ACTIVE"),
    requestBodyMaxBytes: Number(message.requestBodyMaxBytes) || LINK_DEFAULTS.requestBodyMaxBytes,
    allowAmbiguousPaths: message.allowAmbiguousPaths,
    sharedCache: message.sharedCache,
    sendForwarded: message.sendForwarded,
    allowedRedirectOrigins: message.allowedRedirectOrigins,
    scanResponseBodies: message.scanResponseBodies,
    allowWebsocket: message.allowWebsocket,
    ...(message.identityAssertion && { identityAssertion: true }),
    ...(Object.keys(message.tokenClaims ?? {}).length > 0 && { tokenClaims: message.tokenClaims ?? {} }),
    ...(message.maxConfigAge !== undefined && { maxConfigAgeMs: msFromDuration(message.maxConfigAge) ?? 0 }),
  };
}

/** What a link gets on create where its author wrote nothing: `X-User-ID` from `sub`, and the default limit. */
export function withNewLinkDefaults(link: Link): Link {
  return {
    ...link,
    claimHeaders: link.claimHeaders.length > 0 ? link.claimHeaders : [LINK_DEFAULTS.claimHeader],
    limits: link.limits.length > 0 ? link.limits : [LINK_DEFAULTS.limit],
  };
}

/** @param meta absent in the config stream, where only what the proxies need travels */
export function linkToProto(link: Link, meta?: ResourceMeta, conditions: readonly Condition[] = []): LinkMessage {
  const message = create(LinkSchema, {
    ...metaToProto(meta),
    name: link.name,
    displayName: link.displayName,
    upstream: upstreamToProto(link.upstream),
    injections: link.injections.map(injectionToProto),
    issuers: [...link.issuers],
    audiences: [...link.audiences],
    anyAudience: link.anyAudience,
    requireAllAudiences: link.requireAllAudiences,
    requiredClaims: link.requiredClaims.map(claimConditionToProto),
    scopesAny: [...link.scopesAny],
    scopesAll: [...link.scopesAll],
    rules: link.rules.map(ruleToProto),
    claimHeaders: link.claimHeaders.map(claimHeaderToProto),
    forwardUserToken: link.forwardUserToken,
    limits: link.limits.map(limitToProto),
    cors: { ...link.cors, origins: [...link.cors.origins], headers: [...link.cors.headers] },
    linkTokenMode: LINK_TOKEN_MODES.toProto(link.linkTokenMode),
    userTokenMode: USER_TOKEN_MODES.toProto(link.userTokenMode),
    userTokenCookie: link.userTokenCookie ?? "",
    userTokenQuery: link.userTokenQuery ?? "",
    debug: DEBUG_MODES.toProto(link.debug),
    state: STATES.toProto(link.state),
    conditions: conditions.map(({ type, message }) => ({ type, message })),
    requestBodyMaxBytes: BigInt(link.requestBodyMaxBytes),
    allowAmbiguousPaths: link.allowAmbiguousPaths,
    sharedCache: link.sharedCache,
    sendForwarded: link.sendForwarded,
    allowedRedirectOrigins: [...link.allowedRedirectOrigins],
    scanResponseBodies: link.scanResponseBodies,
    allowWebsocket: link.allowWebsocket,
    identityAssertion: link.identityAssertion ?? false,
    ...(link.tokenClaims !== undefined && { tokenClaims: link.tokenClaims as JsonObject }),
  });
  message.maxConfigAge = durationFromMs(link.maxConfigAgeMs);
  return message;
}

const claimHeaderFromProto = (message: ClaimHeaderMessage): ClaimHeader => ({
  claim: message.claim,
  fallbackClaims: message.fallbackClaims,
  header: message.header,
  ifMissing: IF_MISSING.fromProto(message.ifMissing, "OMIT"),
});

const claimHeaderToProto = (header: ClaimHeader): ClaimHeaderMessage =>
  create(ClaimHeaderSchema, {
    claim: header.claim,
    fallbackClaims: [...header.fallbackClaims],
    header: header.header,
    ifMissing: IF_MISSING.toProto(header.ifMissing),
  });

/** Absent parts: key `subject`, window 60 s, burst = requests. */
const limitFromProto = (message: LimitMessage): Limit => ({
  name: message.name,
  key: message.key || LINK_DEFAULTS.limit.key,
  requests: Number(message.requests),
  windowMs: msFromDuration(message.window) ?? LINK_DEFAULTS.limit.windowMs,
  burst: Number(message.burst) || Number(message.requests),
});

function limitToProto(limit: Limit): LimitMessage {
  const { name, key } = limit;
  const message = create(LimitSchema, { name, key, requests: BigInt(limit.requests), burst: BigInt(limit.burst) });
  message.window = durationFromMs(limit.windowMs);
  return message;
}
