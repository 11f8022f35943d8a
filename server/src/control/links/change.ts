import type { Write } from "../../config-log/commit.ts";
import type { StoredSigningKey } from "../../jwt/signing-key.ts";
import type { AuditEvent } from "../../model/audit-event.ts";
import type { Link } from "../../model/link.ts";
import type { Tx } from "../../store/database.ts";
import { type LinkRow, lockLink, updateLink as updateRow } from "../../store/links.ts";
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { principalOf } from "../call.ts";
import type { Deps } from "../deps.ts";
import { found } from "../resource-path.ts";
import { assertionKeySteps } from "./assertion.ts";
import { linkChange, linkOf, specOf } from "./convert.ts";
import { recordRevision } from "./history.ts";
import { requirePrivateAllowed, requireSound } from "./soundness.ts";

/** A link to change, by its ids. */
export interface LinkToChange {
  readonly project: string;
  readonly id: string;
  /** What it becomes, of the locked row; throws when the row is not the one the caller means. */
  readonly next: (row: LinkRow) => Link | Promise<Link>;
  /** From `spareAssertionKey`, when `next` may ask for assertions. */
  readonly spare: StoredSigningKey | undefined;
}

/** Writes a changed link after every check that a new one has to pass, with its revision. */
export async function changeLink(
  deps: Deps,
  tx: Tx,
  { project, id, next, spare }: LinkToChange,
  context: AuditedCall,
  event: AuditEvent,
): Promise<Write<LinkRow>> {
  const row = found(await lockLink(tx, project, id));
  const current = linkOf(row);
  const link = await next(row);
  requirePrivateAllowed(principalOf(context), link, current);
  const steps = assertionKeySteps(deps, project, current, link, spare);
  await steps.prepare(tx);
  await requireSound(tx, project, link);
  const result = await writeRevision(tx, row, link, event);
  return { result, changes: [linkChange(link, row.debugKeys), ...(await steps.changes(tx))] };
}

/** Writes the link's next version and what the history tells of it. @param row as it is, locked */
export async function writeRevision(tx: Tx, row: LinkRow, link: Link, event: AuditEvent): Promise<LinkRow> {
  const changed = await updateRow(tx, { ...row, spec: specOf(link), updateTime: new Date(event.timeMs) });
  await recordRevision(tx, changed, row, event);
  return changed;
}

/** The audit event of a call that may say why. */
export const linkEvent = (deps: Deps, context: AuditedCall, name: string, { reason }: { reason: string }): AuditEvent =>
  auditOf(context, name, deps.clock.now(), reason === "" ? {} : { reason });
