import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampFromMs } from "./time.ts";

/** What the API shows of every stored resource besides its content; absent in the config stream. */
export interface ResourceMeta {
  /** Quoted version of the row. */
  readonly etag: string;
  /** Milliseconds since the epoch. */
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
}

/** The three fields every resource message has; nothing for a resource of the config stream. */
export function metaToProto(meta: ResourceMeta | undefined): {
  etag?: string;
  createTime?: Timestamp;
  updateTime?: Timestamp;
} {
  if (meta === undefined) return {};
  const createTime = timestampFromMs(meta.createTimeMs);
  const updateTime = timestampFromMs(meta.updateTimeMs);
  return { etag: meta.etag, ...(createTime && { createTime }), ...(updateTime && { updateTime }) };
}
