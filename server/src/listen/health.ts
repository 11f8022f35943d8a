import { Health, HealthCheckResponse_ServingStatus as Status } from "@conduit-link/proto/grpc/health/v1/health_pb";
import type { ServiceImpl } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ServiceMount } from "./api.ts";

/** The standard health service (grpc.health.v1), and the switch behind it. */
export interface HealthService {
  readonly mount: ServiceMount;
  /** What every service answers from now on; watchers are told. Begins as false. */
  setServing(isServing: boolean): void;
}

/** @param names full names of the services served, besides "" = the whole server */
export function createHealth(names: readonly string[]): HealthService {
  const known = new Set(["", Health.typeName, ...names]);
  let status: Status = Status.NOT_SERVING;
  let changed = Promise.withResolvers<void>();
  const implementation: ServiceImpl<typeof Health> = {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError("no such service", Code.NotFound);
      return { status };
    },
    async *watch({ service }, { signal }) {
      const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      while (!signal.aborted) {
        const { promise } = changed;
        yield { status: known.has(service) ? status : Status.SERVICE_UNKNOWN };
        await Promise.race([promise, aborted]);
      }
    },
  };
  return {
    mount: { service: Health, implementation },
    setServing(isServing) {
      const next = isServing ? Status.SERVING : Status.NOT_SERVING;
      if (next === status) return;
      status = next;
      changed.resolve();
      changed = Promise.withResolvers<void>();
    },
  };
}
