import { Code, ConnectError } from "@connectrpc/connect";
import { ConduitError } from "../model/errors.ts";
import type { Api } from "./api.ts";

/**
 * What a call gets that names no method of ours, or whose message cannot be read: first of all, its credential is asked
 * for. A stranger must not be able to list methods by trying names (S21).
 * @param known what a caller with a credential is told
 */
export async function errorAfterCredential(
  header: Headers,
  authenticate: Api["authenticate"],
  known: ConnectError,
): Promise<ConnectError> {
  try {
    await authenticate?.(header);
    return known;
  } catch (cause) {
    if (cause instanceof ConnectError) return cause;
    if (!(cause instanceof ConduitError)) return new ConnectError("internal error", Code.Internal);
    return new ConnectError(cause.detail, cause.kind.grpc === "unavailable" ? Code.Unavailable : Code.Unauthenticated);
  }
}

/** For a path that is no method. */
export const unknownMethod = (): ConnectError => new ConnectError("there is no such method", Code.Unimplemented);
