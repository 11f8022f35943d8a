import type { ConnectError } from "@connectrpc/connect";
import { encodeBinaryHeader } from "@connectrpc/connect";
import { headerGrpcMessage, headerGrpcStatus, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { Metadata, type StatusObject } from "@grpc/grpc-js";

/** grpc-js metadata as the Headers that connect's code reads. */
export function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  // `getMap()` keeps one value per key, so ask for each key's values.
  for (const key of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(key))
      headers.append(key, typeof value === "string" ? value : encodeBinaryHeader(value));
  }
  return headers;
}

/** Headers as grpc-js metadata. */
export function toMetadata(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of headers) {
    if (key.endsWith("-bin")) {
      for (const part of value.split(/,\s*/)) metadata.add(key, Buffer.from(part, "base64"));
    } else {
      metadata.add(key, value);
    }
  }
  return metadata;
}

/** An error as grpc-js sends it: its details travel in `grpc-status-details-bin`. */
export function toStatus(error: ConnectError, trailer: Headers): StatusObject {
  const headers = setTrailerStatus(new Headers(trailer), error);
  // grpc-js writes these two itself.
  headers.delete(headerGrpcStatus);
  headers.delete(headerGrpcMessage);
  return { code: Number(error.code), details: error.rawMessage, metadata: toMetadata(headers) };
}
