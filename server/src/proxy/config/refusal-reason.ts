import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { StatusSchema } from "@conduit-link/proto/google/rpc/status_pb";
import type { Metadata } from "@grpc/grpc-js";

const DETAILS_HEADER = "grpc-status-details-bin";

/** `ErrorInfo.reason` of a failed gRPC call, as `PROXY_REVOKED`; undefined when it is not said. */
export function refusalReasonOf(cause: unknown): string | undefined {
  const [details] = (cause as { metadata?: Metadata } | undefined)?.metadata?.get(DETAILS_HEADER) ?? [];
  if (!(details instanceof Uint8Array)) return undefined;
  try {
    const infos = fromBinary(StatusSchema, details).details.map((detail) => anyUnpack(detail, ErrorInfoSchema));
    return infos.find((info) => info !== undefined)?.reason;
  } catch {
    // Another server's details, or none of this form: the code alone counts.
    return undefined;
  }
}
