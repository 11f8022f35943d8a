import { createHmac } from "node:crypto";
import { clone, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { ConduitError } from "../model/errors.ts";
import type { Tx } from "../store/database.ts";
import { claimRequest } from "../store/idempotency.ts";

/** contract.md: retries are safe this long. */
const KEPT_MS = 24 * 60 * 60 * 1000;

/** A create under a `request_id`. */
export interface OnceRequest {
  /** Resource name of the caller's key. */
  readonly principal: string;
  /** Full name of the method. */
  readonly method: string;
  /** "" = none was given: every call creates. */
  readonly requestId: string;
  /** `requestMac` of the whole request. */
  readonly mac: string;
  /** What it is about to create. */
  readonly resourceName: string;
}

/**
 * Claims the request id for this transaction. Undefined: go on and create. Else the name of what the same request has
 * created before: answer with that as it is now. A value that is shown once is never shown again.
 * @throws ConduitError `request_id_reused` when the id came with another request
 */
export async function createdBefore(tx: Tx, request: OnceRequest, nowMs: number): Promise<string | undefined> {
  const { principal, method, requestId, mac, resourceName } = request;
  if (requestId === "") return undefined;
  const expireTime = new Date(nowMs + KEPT_MS);
  const claim = { principal, method, requestId, requestSha256: mac, resourceName, expireTime };
  const earlier = await claimRequest(tx, claim, new Date(nowMs));
  if (earlier === undefined) return undefined;
  if (earlier.requestSha256 !== mac) throw new ConduitError("request_id_reused");
  return earlier.resourceName;
}

/**
 * What a request is compared by, in hex. A MAC and not a hash: the request may hold a secret, and who reads the database
 * must not be able to test guesses against it.
 */
export function requestMac<Desc extends DescMessage>(
  key: Uint8Array,
  schema: Desc,
  request: MessageShape<Desc>,
): string {
  const bare = reflect(schema, clone(schema, request));
  const requestId = bare.fields.find((field) => field.name === "request_id");
  if (requestId !== undefined) bare.clear(requestId);
  return createHmac("sha256", key)
    .update(toBinary(schema, bare.message as MessageShape<Desc>))
    .digest("hex");
}
