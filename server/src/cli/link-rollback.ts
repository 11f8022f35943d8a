import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { confirm, type Terminal } from "./confirm.ts";
import { type Comparison, printComparison, revisionOf } from "./link-diff.ts";
import { linkNameOf } from "./link-name.ts";
import { type Output, printResult } from "./output.ts";

export interface LinkRollbackOptions {
  readonly project?: string;
  /** Number of the revision to go back to; absent = the one before the current. */
  readonly to?: string;
  readonly reason?: string;
  readonly yes: boolean;
  readonly json: boolean;
}

/** `RollbackLinkResponse` in JSON. */
interface Rollback extends Comparison {
  readonly configSequence?: string;
}

/** `conduit link rollback`: shows what going back to an earlier version would change, asks, and does it. */
export async function linkRollback(
  settings: ClientSettings,
  link: string,
  options: LinkRollbackOptions,
  { stdin, output }: { readonly stdin: Terminal; readonly output: Output },
): Promise<void> {
  const { project, to, reason = "", yes, json } = options;
  const name = linkNameOf(link, project);
  const request = { name, reason, ...(to !== undefined && { toRevision: revisionOf("--to", to) }) };
  const client = controlClient(settings);
  const rollback = (more: object) =>
    orExit(client.call<Rollback>("conduit.v1.LinkService", "RollbackLink", { ...request, ...more }));

  const rehearsed = await rollback({ validateOnly: true });
  if (!json) printComparison(output, rehearsed, false);
  if (!(await confirm(`Roll ${name} back to revision ${rehearsed.toRevision}?`, yes, stdin))) {
    output.err("Nothing was changed.");
    return;
  }
  // Done to the version that was shown: a change in between is refused, not overwritten.
  const done = await rollback({ fromRevision: rehearsed.fromRevision, toRevision: rehearsed.toRevision });
  const result = { name, rolled_back_to: done.toRevision, config_sequence: Number(done.configSequence) };
  printResult(output, result, json);
}
