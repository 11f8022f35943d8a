import { create } from "@bufbuild/protobuf";
import { type Secret as SecretMessage, SecretSchema } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import type { SecretFacts } from "../model/secret.ts";
import { metaToProto, type ResourceMeta } from "./resource-meta.ts";

/** What is known about a secret; `value` and `next_value` stay empty: there is no way to read them back. */
export const secretToProto = (secret: SecretFacts, meta: ResourceMeta): SecretMessage =>
  create(SecretSchema, {
    ...metaToProto(meta),
    name: secret.name,
    displayName: secret.displayName,
    secretSet: true,
    nextSecretSet: secret.hasNextValue,
    fingerprint: secret.fingerprint,
  });
