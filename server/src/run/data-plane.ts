import type { Registry } from "prom-client";
import { systemClock } from "../clock.ts";
import type { TlsMaterial } from "../listen/http-listener.ts";
import { listenProxy } from "../listen/proxy.ts";
import type { Log } from "../log.ts";
import { VERSION } from "../model/version.ts";
import { createFetchJson } from "../outbound/capped-fetch.ts";
import { createDialer } from "../outbound/dialer.ts";
import { createResolver } from "../outbound/resolver.ts";
import type { ControlAddress } from "../proxy/config/control-client.ts";
import type { HeldCredential } from "../proxy/config/credential-rotation.ts";
import { createDataPlane, type DataPlane } from "../proxy/data-plane.ts";
import { systemRandom } from "../random.ts";

export interface DataPlaneSettings extends HeldCredential {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsMaterial | undefined;
  readonly dataDir: string;
  readonly trustedProxies: readonly string[];
  /** TLS ends in front of this process: told to upstreams in `Forwarded`. Default false. */
  readonly isBehindTls?: boolean;
  readonly controls: readonly ControlAddress[];
  /** `--max-config-age`; undefined = serve with what is known. */
  readonly maxConfigAgeMs?: number | undefined;
  readonly log: Log;
  /** Gets the data plane's metrics. */
  readonly registry: Registry;
}

/** A running data plane. */
export interface RunningDataPlane {
  readonly plane: DataPlane;
  readonly port: number;
  /** Requests in flight finish, the last counts are reported. */
  stop(): Promise<void>;
}

/** Serves the proxy port and follows the control plane; does not wait for it. @throws ExitError when it cannot bind */
export async function startDataPlane(settings: DataPlaneSettings): Promise<RunningDataPlane> {
  const effects = { clock: systemClock, random: systemRandom, log: settings.log };
  const dial = createDialer(createResolver({ clock: systemClock }));
  const { dataDir, trustedProxies, isBehindTls = false, controls, registry, maxConfigAgeMs } = settings;
  const { credential, nextCredential, credentialFiles } = settings;
  const plane = createDataPlane({
    ...{ ...effects, dial, fetchJson: createFetchJson(dial), proxyVersion: VERSION },
    ...{ dataDir, trustedProxies, isBehindTls, controls, registry, maxConfigAgeMs },
    ...{ credential, nextCredential, credentialFiles },
  });
  const { handlers, serverOptions, maxHeadersCount } = plane;
  const { host, port, tls } = settings;
  const listener = await listenProxy({
    ...{ host, port, tls, handlers, serverOptions, maxHeadersCount },
    onDrain: plane.drain,
  });
  await plane.start();
  const stop = async () => {
    await listener.drain();
    await plane.stop();
  };
  return { plane, port: listener.address.port, stop };
}
