import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AssertionKeyConfigSchema,
  type DebugKeyConfig,
  DebugKeyConfigSchema,
  IssuerConfigSchema,
  LinkConfigSchema,
  LinkTokenConfigSchema,
  ResourceKind,
  RevocationConfigSchema,
  SecretConfigSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { ConfigResource, ConfigResourceKind } from "../model/config-resource.ts";
import type { DebugKey } from "../model/debug-key.ts";
import { ConduitError } from "../model/errors.ts";
import { issuerFromProto, issuerToProto } from "./issuer.ts";
import { linkFromProto, linkToProto } from "./link.ts";
import { linkTokenFromProto, linkTokenToProto } from "./link-token.ts";
import { revocationEntryFromProto, revocationEntryToProto } from "./revocation.ts";
import { builtInAlgorithmFromProto } from "./signing-key.ts";
import { msFromTimestamp, timestampFromMs } from "./time.ts";

const KINDS: Readonly<Record<ConfigResourceKind, ResourceKind>> = {
  link: ResourceKind.LINK,
  link_token: ResourceKind.LINK_TOKEN,
  issuer: ResourceKind.ISSUER,
  secret: ResourceKind.SECRET,
  revocation: ResourceKind.REVOCATION,
  assertion_key: ResourceKind.ASSERTION_KEY,
};

const KINDS_FROM_PROTO: ReadonlyMap<ResourceKind, ConfigResourceKind> = new Map(
  (Object.keys(KINDS) as ConfigResourceKind[]).map((kind) => [KINDS[kind], kind]),
);

export const kindToProto = (kind: ConfigResourceKind): ResourceKind => KINDS[kind];

/** Undefined for a kind of a newer version: keep its bytes, report it, apply the rest. */
export const kindFromProto = (value: ResourceKind): ConfigResourceKind | undefined => KINDS_FROM_PROTO.get(value);

/** Payload of `ResourceChange.upsert`. Equal resources give equal bytes: the digest of the state rests on that. */
export function encodeConfigResource(resource: ConfigResource): Uint8Array {
  switch (resource.kind) {
    case "link": {
      const debugKeys = (resource.debugKeys ?? []).map(debugKeyToProto);
      return toBinary(LinkConfigSchema, create(LinkConfigSchema, { link: linkToProto(resource.link), debugKeys }));
    }
    case "link_token": {
      const tokenSha256 = Buffer.from(resource.linkToken.tokenHash, "hex");
      const linkToken = linkTokenToProto(resource.linkToken);
      return toBinary(LinkTokenConfigSchema, create(LinkTokenConfigSchema, { linkToken, tokenSha256 }));
    }
    case "issuer": {
      const { jwks = "" } = resource;
      return toBinary(IssuerConfigSchema, create(IssuerConfigSchema, { issuer: issuerToProto(resource.issuer), jwks }));
    }
    case "secret": {
      const { name, sealedValue, sealedNextValue = new Uint8Array() } = resource;
      return toBinary(SecretConfigSchema, create(SecretConfigSchema, { name, sealedValue, sealedNextValue }));
    }
    case "assertion_key": {
      const { name, iss, kid, algorithm, sealedPrivateJwk } = resource;
      const message = { name, iss, kid, algorithm, sealedPrivateJwk };
      return toBinary(AssertionKeyConfigSchema, create(AssertionKeyConfigSchema, message));
    }
    case "revocation":
      return toBinary(RevocationConfigSchema, revocationEntryToProto(resource.revocation, resource.name));
  }
}

/** Throws `field_invalid` when the bytes are not such a payload or hold a value this version does not know. */
export function decodeConfigResource(kind: ConfigResourceKind, payload: Uint8Array): ConfigResource {
  try {
    return DECODERS[kind](payload);
  } catch (cause) {
    if (cause instanceof ConduitError) throw cause;
    throw new ConduitError("field_invalid", { detail: `not the payload of a ${kind}`, cause });
  }
}

const DECODERS: Readonly<Record<ConfigResourceKind, (payload: Uint8Array) => ConfigResource>> = {
  link(payload) {
    const message = fromBinary(LinkConfigSchema, payload);
    const link = linkFromProto(required(message.link));
    const debugKeys = message.debugKeys.map(debugKeyFromProto);
    return { kind: "link", name: link.name, link, ...(debugKeys.length > 0 && { debugKeys }) };
  },
  link_token(payload) {
    const message = fromBinary(LinkTokenConfigSchema, payload);
    const linkToken = linkTokenFromProto(required(message.linkToken), Buffer.from(message.tokenSha256).toString("hex"));
    return { kind: "link_token", name: linkToken.name, linkToken };
  },
  issuer(payload) {
    const message = fromBinary(IssuerConfigSchema, payload);
    const issuer = issuerFromProto(required(message.issuer));
    return { kind: "issuer", name: issuer.name, issuer, ...(message.jwks !== "" && { jwks: message.jwks }) };
  },
  secret(payload) {
    const { name, sealedValue, sealedNextValue } = fromBinary(SecretConfigSchema, payload);
    return { kind: "secret", name, sealedValue, ...(sealedNextValue.length > 0 && { sealedNextValue }) };
  },
  assertion_key(payload) {
    const { name, iss, kid, algorithm, sealedPrivateJwk } = fromBinary(AssertionKeyConfigSchema, payload);
    const known = required(builtInAlgorithmFromProto(algorithm));
    return { kind: "assertion_key", name, iss, kid, algorithm: known, sealedPrivateJwk };
  },
  revocation(payload) {
    const message = fromBinary(RevocationConfigSchema, payload);
    const name = Buffer.from(message.name).toString("hex");
    return { kind: "revocation", name, revocation: revocationEntryFromProto(message) };
  },
};

function debugKeyToProto({ keyHash, expireTimeMs }: DebugKey): DebugKeyConfig {
  const message = create(DebugKeyConfigSchema, { keySha256: Buffer.from(keyHash, "hex") });
  message.expireTime = timestampFromMs(expireTimeMs);
  return message;
}

/** A hash of another length could not even be compared. */
function debugKeyFromProto({ keySha256, expireTime }: DebugKeyConfig): DebugKey {
  if (keySha256.length !== 32)
    throw new ConduitError("field_invalid", { detail: "a debug key's hash has a wrong length" });
  return { keyHash: Buffer.from(keySha256).toString("hex"), expireTimeMs: msFromTimestamp(expireTime) ?? 0 };
}

function required<T>(message: T | undefined): T {
  if (message === undefined) throw new ConduitError("field_invalid", { detail: "the payload is empty" });
  return message;
}
