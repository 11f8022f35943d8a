import { wrongSetting } from "../model/exit.ts";
import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { linkNameOf } from "./link-name.ts";
import type { Output } from "./output.ts";

export interface LinkDiffOptions {
  readonly project?: string;
  /** Numbers of revisions; absent = the last two. */
  readonly from?: string;
  readonly to?: string;
  readonly json: boolean;
}

/** `CompareLinkRevisionsResponse` in JSON. */
export interface Comparison {
  readonly fromRevision?: number;
  readonly toRevision?: number;
  readonly changes?: ReadonlyArray<{ readonly path: string; readonly from?: unknown; readonly to?: unknown }>;
}

/** `conduit link diff`: what differs between two versions of a link; without numbers what the last change changed. */
export async function linkDiff(
  settings: ClientSettings,
  link: string,
  { project, from, to, json }: LinkDiffOptions,
  output: Output,
): Promise<void> {
  const request = {
    name: linkNameOf(link, project),
    ...(from !== undefined && { fromRevision: revisionOf("--from", from) }),
    ...(to !== undefined && { toRevision: revisionOf("--to", to) }),
  };
  const comparison = await orExit(
    controlClient(settings).call<Comparison>("conduit.v1.LinkService", "CompareLinkRevisions", request),
  );
  printComparison(output, comparison, json);
}

/** As a unified diff names them: `-` the one before, `+` the one after. */
export function printComparison(output: Output, comparison: Comparison, asJson: boolean): void {
  const { fromRevision = 0, toRevision = 0, changes = [] } = comparison;
  if (asJson) {
    output.out(JSON.stringify({ from_revision: fromRevision, to_revision: toRevision, changes }));
    return;
  }
  output.out(`--- revision ${fromRevision}`);
  output.out(`+++ revision ${toRevision}`);
  for (const { path, from, to } of changes) {
    output.out(`@@ ${path}`);
    if (from !== undefined) output.out(`-${JSON.stringify(from)}`);
    if (to !== undefined) output.out(`+${JSON.stringify(to)}`);
  }
}

/** @throws ExitError (2) naming the flag */
export function revisionOf(flag: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw wrongSetting(`${flag}: give a revision's number, as conduit link history shows`);
  return Number(text);
}
