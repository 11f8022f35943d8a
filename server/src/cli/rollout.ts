import type { Clock } from "../clock.ts";
import { EXIT, ExitError, wrongSetting } from "../model/exit.ts";
import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { type Output, printResult } from "./output.ts";

/** `Rollout` in JSON: zeros are left out. */
interface Rollout {
  readonly sequence?: string;
  readonly headSequence?: string;
  readonly complete?: boolean;
  readonly live?: number;
  readonly applied?: number;
  readonly rejecting?: number;
  readonly missing?: number;
  readonly gone?: number;
  readonly missingProxies?: readonly string[];
  readonly rejections?: ReadonlyArray<{
    readonly proxy: string;
    readonly resource: { readonly name: string; readonly message?: string };
  }>;
}

export interface RolloutOptions {
  /** `config_sequence` of a change; absent = the newest. */
  readonly sequence?: string;
  readonly json: boolean;
}

const SERVICE = "conduit.v1.ProxyService";

/** `conduit rollout status`: how far a change has come. */
export async function rolloutStatus(settings: ClientSettings, options: RolloutOptions, output: Output): Promise<void> {
  const request = { sequence: sequenceOf(options) };
  const { rollout } = await orExit(controlClient(settings).call<{ rollout: Rollout }>(SERVICE, "GetRollout", request));
  printRollout(rollout, options, output);
}

/** One call waits no longer, so that a lost connection is noticed. */
const CALL_MAX_S = 20;

/**
 * `conduit rollout wait`: returns when every live proxy has applied a change.
 * @throws ExitError (5) when that is not so in time, (1) when one of them could not apply it; the counts are printed anyhow
 */
export async function rolloutWait(
  settings: ClientSettings,
  options: RolloutOptions & { readonly timeout: string },
  { clock, output }: { readonly clock: Clock; readonly output: Output },
): Promise<void> {
  const client = controlClient(settings);
  const endMs = clock.monotonic() + secondsOf(options.timeout) * 1000;
  let sequence = sequenceOf(options);
  for (;;) {
    const leftS = Math.max(0, (endMs - clock.monotonic()) / 1000);
    const timeout = `${Math.min(CALL_MAX_S, leftS).toFixed(3)}s`;
    const answer = orExit(client.call<{ rollout: Rollout }>(SERVICE, "WaitForRollout", { sequence, timeout }));
    const { rollout } = await answer;
    // The newest when the wait began, also for the calls after the first.
    sequence = rollout.sequence ?? sequence;
    if (rollout.complete !== true && clock.monotonic() < endMs) continue;
    printRollout(rollout, options, output);
    return judge(rollout, output);
  }
}

function judge({ complete, live = 0, applied = 0, rejecting = 0, sequence }: Rollout, output: Output): void {
  if (complete !== true)
    throw new ExitError(EXIT.unreachable, `not in time: ${applied} of ${live} live proxies have applied ${sequence}`);
  if (rejecting > 0)
    throw new ExitError(EXIT.failed, `${rejecting} of ${live} live proxies could not apply all of ${sequence}`);
  if (live === 0) output.err("No proxy is live: nothing serves this configuration.");
}

function printRollout(rollout: Rollout, { json }: RolloutOptions, output: Output): void {
  const { live = 0, applied = 0, rejecting = 0, missing = 0, gone = 0 } = rollout;
  const [sequence, head_sequence] = [Number(rollout.sequence ?? 0), Number(rollout.headSequence ?? 0)];
  const counts = {
    sequence,
    head_sequence,
    complete: rollout.complete ?? false,
    live,
    applied,
    rejecting,
    missing,
    gone,
  };
  const rejections = (rollout.rejections ?? []).map(({ proxy, resource: { name, message = "" } }) => ({
    ...{ proxy, resource: name, message },
  }));
  if (json) {
    printResult(output, { ...counts, missing_proxies: rollout.missingProxies ?? [], rejections }, true);
    return;
  }
  printResult(output, counts, false);
  for (const name of rollout.missingProxies ?? []) output.out(`missing  ${name}`);
  for (const { proxy, resource, message } of rejections) output.out(`rejected by ${proxy}: ${resource}: ${message}`);
}

function sequenceOf({ sequence = "0" }: RolloutOptions): string {
  if (!/^\d{1,19}$/.test(sequence)) throw wrongSetting("--sequence: give the config_sequence of a change");
  return sequence;
}

/** `90`, `90s`, `5m` or `1h` in seconds. */
function secondsOf(text: string): number {
  const [, amount, unit = "s"] = /^(\d{1,6}(?:\.\d{1,3})?)(s|m|h)?$/.exec(text) ?? [];
  if (amount === undefined) throw wrongSetting("--timeout: give seconds, as 60, or 90s, 5m, 1h");
  return Number(amount) * ({ s: 1, m: 60, h: 3600 }[unit] ?? 1);
}
