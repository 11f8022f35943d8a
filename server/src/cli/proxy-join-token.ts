import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { type Output, printResult } from "./output.ts";

export interface JoinTokenOptions {
  /** Display name of the proxy that will join. */
  readonly displayName?: string;
  readonly json: boolean;
}

/** `conduit proxy join-token`: prints a token with which one proxy joins, once, within an hour. */
export async function proxyJoinToken(
  settings: ClientSettings,
  options: JoinTokenOptions,
  output: Output,
): Promise<void> {
  const request = options.displayName === undefined ? {} : { displayName: options.displayName };
  const { joinToken, expireTime } = await orExit(
    controlClient(settings).call<{ joinToken: string; expireTime: string }>(
      "conduit.v1.ProxyService",
      "CreateJoinToken",
      request,
    ),
  );
  if (!options.json) output.err("Shown once. Give it to the proxy in CONDUIT_JOIN_TOKEN for its first start.");
  printResult(output, { join_token: joinToken, expire_time: expireTime }, options.json);
}
