import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { linkNameOf } from "./link-name.ts";
import { type Output, printResult } from "./output.ts";

export interface DebugKeyOptions {
  readonly project?: string;
  /** As `15m` or `900s`; absent = an hour. */
  readonly lifetime?: string;
  readonly json: boolean;
}

/** `conduit link debug-key`: makes a key with which `X-Debug-JWT` says why the link refuses tokens, and prints it once. */
export async function linkDebugKey(
  settings: ClientSettings,
  link: string,
  { project, lifetime, json }: DebugKeyOptions,
  output: Output,
): Promise<void> {
  const request = {
    parent: linkNameOf(link, project),
    ...(lifetime !== undefined && { lifetime: secondsOf(lifetime) }),
  };
  const { debugKey, expireTime } = await orExit(
    controlClient(settings).call<{ debugKey: string; expireTime: string }>(
      "conduit.v1.LinkService",
      "CreateDebugKey",
      request,
    ),
  );
  if (!json) output.err("Shown once. Send it as X-Debug-JWT; it counts where the link's debug is KEY, the default.");
  printResult(output, { debug_key: debugKey, expire_time: expireTime }, json);
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** `15m` → `900s`, as JSON writes a Duration; other texts are left to the API to refuse. */
function secondsOf(text: string): string {
  const [, count, unit = ""] = /^(\d+)([smh])$/.exec(text) ?? [];
  return count === undefined ? text : `${Number(count) * (UNIT_SECONDS[unit] ?? 1)}s`;
}
