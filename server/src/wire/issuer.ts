import { create } from "@bufbuild/protobuf";
import {
  type IssuerKeyStatus as IssuerKeyStatusMessage,
  IssuerKeyStatusSchema,
  type Issuer as IssuerMessage,
  IssuerSchema,
  SecretEncoding as ProtoSecretEncoding,
} from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { ConduitError } from "../model/errors.ts";
import {
  DEFAULT_ALGORITHMS,
  type Issuer,
  type IssuerKeyStatus,
  type IssuerKeys,
  LEEWAY_DEFAULTS,
  type SecretEncoding,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from "../model/issuer.ts";
import { enumTable } from "./enum-table.ts";
import { metaToProto, type ResourceMeta } from "./resource-meta.ts";
import { durationFromMs, msFromDuration, msFromTimestamp, timestampFromMs } from "./time.ts";

const { UTF8, BASE64, HEX } = ProtoSecretEncoding;
const ENCODINGS = enumTable<SecretEncoding, ProtoSecretEncoding>("encoding", { UTF8, BASE64, HEX });

/** A complete issuer from its message, with the defaults of contract.md 3. Checks nothing: `policy/issuer-check.ts` does. */
export function issuerFromProto(message: IssuerMessage): Issuer {
  const keys = keysFromProto(message.keys);
  const maxAgeWithoutExpMs = message.allowMissingExp ? (msFromDuration(message.maxTokenAge) ?? 0) : undefined;
  const maxLifetimeMs = msFromDuration(message.maxLifetime);
  const keysRefreshTimeMs = msFromTimestamp(message.keysRefreshTime);
  const { acceptedTypes, audienceClaim, caCertificates, exchangeClaims, logoutClientIds } = message;
  const algorithms = message.algorithms.map(algorithmFromProto);
  return {
    name: message.name,
    displayName: message.displayName,
    // Discovery is about exactly one issuer: its tokens name it.
    iss: keys.kind === "oidc_discovery" && message.iss === "" ? keys.url : message.iss,
    keys,
    algorithms: algorithms.length > 0 ? algorithms : DEFAULT_ALGORITHMS[keys.kind],
    ...(maxAgeWithoutExpMs !== undefined && { maxAgeWithoutExpMs }),
    ...(maxLifetimeMs !== undefined && { maxLifetimeMs }),
    ...(acceptedTypes.length > 0 && { acceptedTypes }),
    ...(audienceClaim !== "" && { audienceClaim }),
    ...(caCertificates !== "" && { caCertificates }),
    ...(keysRefreshTimeMs !== undefined && { keysRefreshTimeMs }),
    ...(Object.keys(exchangeClaims).length > 0 && { exchangeClaims: sortedByName(exchangeClaims) }),
    ...(logoutClientIds.length > 0 && { logoutClientIds }),
    // Our own clock signs and our own stream carries the keys: nothing needs leeway.
    expLeewayMs: msFromDuration(message.expLeeway) ?? (keys.kind === "built_in" ? 0 : LEEWAY_DEFAULTS.expLeewayMs),
    clockLeewayMs: msFromDuration(message.clockLeeway) ?? LEEWAY_DEFAULTS.clockLeewayMs,
    acceptIdTokens: message.acceptIdTokens,
    allowPrivate: message.allowPrivate,
  };
}

/** In one order, however the message came: the stream's bytes are compared by digest. */
const sortedByName = (map: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));

/** @param meta absent in the config stream */
export function issuerToProto(issuer: Issuer, meta?: ResourceMeta): IssuerMessage {
  const message = create(IssuerSchema, {
    ...metaToProto(meta),
    name: issuer.name,
    displayName: issuer.displayName,
    iss: issuer.iss,
    keys: keysToProto(issuer.keys),
    algorithms: [...issuer.algorithms],
    allowMissingExp: issuer.maxAgeWithoutExpMs !== undefined,
    acceptIdTokens: issuer.acceptIdTokens,
    acceptedTypes: [...(issuer.acceptedTypes ?? [])],
    audienceClaim: issuer.audienceClaim ?? "",
    caCertificates: issuer.caCertificates ?? "",
    exchangeClaims: { ...issuer.exchangeClaims },
    logoutClientIds: [...(issuer.logoutClientIds ?? [])],
    allowPrivate: issuer.allowPrivate,
  });
  message.maxLifetime = durationFromMs(issuer.maxLifetimeMs);
  message.keysRefreshTime = timestampFromMs(issuer.keysRefreshTimeMs);
  message.maxTokenAge = durationFromMs(issuer.maxAgeWithoutExpMs);
  message.expLeeway = durationFromMs(issuer.expLeewayMs);
  message.clockLeeway = durationFromMs(issuer.clockLeewayMs);
  return message;
}

/** Throws `field_invalid` when there are none, or of a kind from a newer version. */
function keysFromProto(keys: IssuerMessage["keys"]): IssuerKeys {
  switch (keys.case) {
    case "hs256":
      return {
        kind: "hs256",
        secret: keys.value.secret,
        encoding: ENCODINGS.fromProto(keys.value.encoding, "UTF8"),
      };
    case "jwksUrl":
      return { kind: "jwks_url", url: keys.value };
    case "oidcDiscovery":
      return { kind: "oidc_discovery", url: keys.value };
    case "staticKeys":
      return { kind: "static_keys", text: keys.value };
    case "builtIn":
      return { kind: "built_in" };
    case undefined:
      throw new ConduitError("field_invalid", { detail: "issuer has no keys" });
  }
}

function keysToProto(keys: IssuerKeys) {
  switch (keys.kind) {
    case "hs256": {
      const value = { secret: keys.secret, encoding: ENCODINGS.toProto(keys.encoding) };
      return { case: "hs256" as const, value };
    }
    case "jwks_url":
      return { case: "jwksUrl" as const, value: keys.url };
    case "oidc_discovery":
      return { case: "oidcDiscovery" as const, value: keys.url };
    case "static_keys":
      return { case: "staticKeys" as const, value: keys.text };
    case "built_in":
      return { case: "builtIn" as const, value: {} };
  }
}

/** @param seen by whom (resource name of a proxy) and when (milliseconds since the epoch); absent in a proxy's report */
export function keyStatusToProto(
  status: IssuerKeyStatus,
  seen?: { readonly proxy: string; readonly reportTimeMs: number | undefined },
): IssuerKeyStatusMessage {
  const { kids, lastError } = status;
  const message = create(IssuerKeyStatusSchema, { proxy: seen?.proxy ?? "", kids: [...kids], lastError });
  message.fetchTime = timestampFromMs(status.fetchTimeMs);
  message.nextTryTime = timestampFromMs(status.nextTryTimeMs);
  message.reportTime = timestampFromMs(seen?.reportTimeMs);
  return message;
}

/** @param issuer resource name, which stands beside the status in a report */
export function keyStatusFromProto(issuer: string, message: IssuerKeyStatusMessage): IssuerKeyStatus {
  const { kids, lastError } = message;
  const fetchTimeMs = msFromTimestamp(message.fetchTime);
  const nextTryTimeMs = msFromTimestamp(message.nextTryTime);
  return {
    ...{ issuer, kids, lastError },
    ...(fetchTimeMs !== undefined && { fetchTimeMs }),
    ...(nextTryTimeMs !== undefined && { nextTryTimeMs }),
  };
}

/** Throws `field_invalid` on a name we do not know: an algorithm must never be dropped from a pinned list silently. */
function algorithmFromProto(name: string): SigningAlgorithm {
  const algorithm = SIGNING_ALGORITHMS.find((known) => known === name);
  if (algorithm === undefined) throw new ConduitError("field_invalid", { detail: "algorithms has an unknown name" });
  return algorithm;
}
