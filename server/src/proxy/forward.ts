import type { WithLink, WithOutgoing, WithUpstreamAnswer } from "./stage-values.ts";
import type { UpstreamPools } from "./upstream/pools.ts";
import { UpstreamExchange } from "./upstream/upstream-exchange.ts";

/** A request on its way. */
export interface Forwarding<R> {
  /** The upstream's head; rejects with `ConduitError`. */
  readonly arrived: Promise<R & WithUpstreamAnswer>;
  /** Gives the request up and closes the upstream's socket. */
  abort(): void;
}

/**
 * Stage 10, forward: sends the request over a connection of the target's pool. What is forwarded is what was judged, byte
 * for byte; deadlines, retry and framing are `upstream/`'s.
 */
export function forward<R extends WithLink & WithOutgoing>(attached: R, pools: UpstreamPools): Forwarding<R> {
  const { served, outgoing } = attached;
  const exchange = new UpstreamExchange(pools.of(served.target), outgoing, served.timeouts);
  const arrived = exchange.answer.then((upstreamAnswer) => ({ ...attached, upstreamAnswer }));
  return { arrived, abort: () => exchange.abort() };
}
