import { create } from "@bufbuild/protobuf";
import {
  SigningKeyState as ProtoState,
  type SigningKey as SigningKeyMessage,
  SigningKeyPurpose,
  SigningKeySchema,
} from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { ConduitError } from "../model/errors.ts";
import {
  BUILT_IN_ALGORITHMS,
  type BuiltInAlgorithm,
  type SigningKeyPurpose as Purpose,
  type SigningKeyInfo,
} from "../model/signing-key.ts";
import { enumTable } from "./enum-table.ts";
import { timestampFromMs } from "./time.ts";

const { TOKEN, ASSERTION } = SigningKeyPurpose;
const PURPOSES = enumTable<Purpose, SigningKeyPurpose>("purpose", { TOKEN, ASSERTION });

/** Default: users' tokens. @throws ConduitError `field_invalid` */
export const purposeFromProto = (purpose: SigningKeyPurpose = SigningKeyPurpose.UNSPECIFIED): Purpose =>
  PURPOSES.fromProto(purpose, "TOKEN");

export function signingKeyToProto(key: SigningKeyInfo): SigningKeyMessage {
  const message = create(SigningKeySchema, {
    name: key.name,
    purpose: PURPOSES.toProto(key.purpose),
    algorithm: key.algorithm,
    state: ProtoState[key.state],
    publicJwk: JSON.stringify(key.publicJwk),
  });
  message.createTime = timestampFromMs(key.createTimeMs);
  message.activateTime = timestampFromMs(key.activateTimeMs);
  message.scheduledActivateTime = timestampFromMs(key.scheduledActivateTimeMs);
  message.retireTime = timestampFromMs(key.retireTimeMs);
  message.unpublishTime = timestampFromMs(key.unpublishTimeMs);
  return message;
}

/** Undefined when none is named. @throws ConduitError `field_invalid` */
export function builtInAlgorithmFromProto(name: string): BuiltInAlgorithm | undefined {
  if (name === "") return undefined;
  const algorithm = BUILT_IN_ALGORITHMS.find((one) => one === name);
  if (algorithm === undefined) throw new ConduitError("field_invalid", { detail: "algorithm has an unknown value" });
  return algorithm;
}
