import { ConduitError } from "../model/errors.ts";

/**
 * The row an insert answered with `on conflict do nothing`. That form leaves the transaction usable, where a violated
 * constraint would end it.
 * @throws ConduitError `resource_exists` when nothing was inserted
 */
export function insertedRow<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new ConduitError("resource_exists");
  return row;
}

/** The row an update answered whose condition names the version read before. @throws ConduitError `etag_mismatch` */
export function updatedRow<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new ConduitError("etag_mismatch");
  return row;
}
