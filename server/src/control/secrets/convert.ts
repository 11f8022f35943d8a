import type { Secret as SecretMessage } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { secretName } from "../../model/resource-name.ts";
import type { SecretRow } from "../../store/secrets.ts";
import { secretToProto } from "../../wire/secret.ts";
import { metaOf } from "../etag.ts";

/** What may be known about a secret. */
export const secretMessageOf = (row: SecretRow): SecretMessage =>
  secretToProto(
    {
      name: secretName(row.project, row.id),
      displayName: row.displayName,
      fingerprint: row.fingerprint,
      hasNextValue: row.sealedNextValue !== null,
    },
    metaOf(row),
  );
