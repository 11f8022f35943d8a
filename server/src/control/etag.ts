import { ConduitError } from "../model/errors.ts";
import type { ResourceMeta } from "../wire/resource-meta.ts";

/** The columns every resource's row has. */
export interface VersionedRow {
  readonly version: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** Quoted, as in HTTP. The creation time is in it so that the etag of a deleted resource does not fit its successor. */
export const etagOf = (row: Omit<VersionedRow, "updateTime">): string =>
  `"${row.createTime.getTime().toString(36)}-${row.version}"`;

/** What the API shows of a row besides its content. */
export const metaOf = (row: VersionedRow): ResourceMeta => ({
  etag: etagOf(row),
  createTimeMs: row.createTime.getTime(),
  updateTimeMs: row.updateTime.getTime(),
});

/** Throws `etag_mismatch` unless the etag is the row's; "" = none was given (AIP-154). */
export function requireEtag(given: string, row: Omit<VersionedRow, "updateTime">): void {
  if (given !== "" && given !== etagOf(row)) throw new ConduitError("etag_mismatch");
}
