import type { WithLink, WithOutgoing } from "./stage-values.ts";
import type { UpstreamPools } from "./upstream/pools.ts";
import { UpstreamExchange } from "./upstream/upstream-exchange.ts";

/**
 * Stage 10, forward: sends the request over a connection of the target's pool; the answer's head is the exchange's to
 * give. What is forwarded is what was judged, byte for byte; deadlines, retry and framing are `upstream/`'s.
 */
export function forward<R extends WithLink & WithOutgoing>(
  { served, outgoing }: R,
  pools: UpstreamPools,
): UpstreamExchange {
  // Long-lived connections have sockets of their own, or they would starve the requests.
  const target = outgoing.isUpgrade ? { ...served.target, key: `${served.target.key} upgraded` } : served.target;
  return new UpstreamExchange(pools.of(target), outgoing, served.timeouts);
}
