import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { confirm, type Terminal } from "./confirm.ts";
import { type Output, printResult } from "./output.ts";
import { proxyNameOf } from "./proxy-name.ts";

export interface ProxyRevokeOptions {
  /** Why, for the audit trail. */
  readonly reason?: string;
  readonly yes: boolean;
  readonly json: boolean;
}

/** `RevokeProxyResponse` in JSON, as far as it is shown. */
interface Revoked {
  readonly proxy: { readonly name: string; readonly revokeTime?: string };
  readonly configSequence?: string;
}

/** `conduit proxy revoke`: asks, and shuts a proxy out for good. */
export async function proxyRevoke(
  settings: ClientSettings,
  proxy: string,
  { reason = "", yes, json }: ProxyRevokeOptions,
  { stdin, output }: { readonly stdin: Terminal; readonly output: Output },
): Promise<void> {
  const name = proxyNameOf(proxy);
  if (!(await confirm(`Revoke ${name} for good? It has to join anew to come back.`, yes, stdin))) {
    output.err("Nothing was changed.");
    return;
  }
  const client = controlClient(settings);
  const done = await orExit(client.call<Revoked>("conduit.v1.ProxyService", "RevokeProxy", { name, reason }));
  const configSequence = Number(done.configSequence ?? 0);
  printResult(output, { name, revoke_time: done.proxy.revokeTime, config_sequence: configSequence }, json);
  if (!json)
    output.err(
      "What it knew until now it may keep: replace upstream keys that it must not have. The others get a new fleet key.",
    );
}
