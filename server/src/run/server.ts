import { Registry } from "prom-client";
import type { Output } from "../cli/output.ts";
import { listenAdmin } from "../listen/admin.ts";
import { createLog } from "../log.ts";
import type { ServerSettings } from "../settings.ts";
import type { StoreLocation } from "../store/open.ts";
import { startControlPlane } from "./control-plane.ts";
import { watchDatabase } from "./database-watch.ts";
import { untilStopped } from "./shutdown.ts";
import { readTls } from "./tls-files.ts";

/** Where the settings put the data. */
export const locationOf = ({ database, dataDir }: Pick<ServerSettings, "database" | "dataDir">): StoreLocation =>
  database === undefined ? { kind: "pglite", dataDir } : { kind: "postgres", ...database };

/** `conduit server`: the control plane, until it is told to stop. */
export async function runServer(settings: ServerSettings, output: Output): Promise<void> {
  const log = createLog(settings.log);
  const registry = new Registry();
  const { host, httpPort, grpcPort, masterKeys, publicUrl, reflection, trustedProxies } = settings;
  const { proxyCredentialMaxAgeMs } = settings;
  const plane = await startControlPlane({
    ...{ host, httpPort, grpcPort, masterKeys, publicUrl, reflection, trustedProxies },
    ...{ log, registry, ...(proxyCredentialMaxAgeMs !== undefined && { proxyCredentialMaxAgeMs }) },
    location: locationOf(settings),
    tls: readTls(settings.tls),
    routes: [],
  });
  let isStopping = false;
  const watch = watchDatabase(plane.store, log);
  const notReady = () => (isStopping ? "stopping" : watch.fault());
  const admin = await listenAdmin({ port: settings.adminPort, registry, notReady }).catch(async (error: unknown) => {
    watch.stop();
    await plane.stop();
    throw error;
  });
  const { httpUrl, publicUrl: issuerHead } = plane;
  log.info({ http: httpUrl, grpc: plane.grpcPort, admin: admin.address.port, public_url: issuerHead }, "serving");
  output.out("conduit ready");
  await untilStopped(async () => {
    isStopping = true;
    watch.stop();
    await plane.stop();
    await admin.drain(0);
  });
}
