import type { CreateUpstreamClient, UpstreamOrigin } from "../../outbound/upstream-client.ts";
import { UpstreamPool } from "./pool.ts";

/** A target and the text that tells it from others, made once per link. */
export interface UpstreamTarget extends UpstreamOrigin {
  readonly key: string;
}

/** A link without `allow_private` must not ride on the connection of one that has it: the key holds all that matters. */
export const upstreamTarget = (origin: UpstreamOrigin): UpstreamTarget => ({
  ...origin,
  key: `${origin.origin} ${origin.allowPrivate} ${origin.connectTimeoutMs} ${origin.caCertificates ?? ""}`,
});

/** The pools of all upstreams, by target. */
export interface UpstreamPools {
  of(target: UpstreamTarget): UpstreamPool;
  /** Forgets pools without connections; called now and then, since links come and go. */
  sweep(): void;
  /** Ends every connection. */
  destroy(): Promise<void>;
}

/** @param socketsMax per target; default 256 */
export function createUpstreamPools(create: CreateUpstreamClient, socketsMax?: number): UpstreamPools {
  const pools = new Map<string, UpstreamPool>();
  return {
    of(target) {
      const known = pools.get(target.key);
      if (known !== undefined) return known;
      const pool = new UpstreamPool(target, create, socketsMax);
      pools.set(target.key, pool);
      return pool;
    },
    sweep() {
      for (const [key, pool] of pools) if (pool.isEmpty) pools.delete(key);
    },
    async destroy() {
      const all = [...pools.values()];
      pools.clear();
      await Promise.all(all.map((pool) => pool.destroy()));
    },
  };
}
