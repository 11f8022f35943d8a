import { Registry } from "prom-client";
import type { Output } from "../cli/output.ts";
import { makePrivateDirectory } from "../key-file.ts";
import { listenAdmin } from "../listen/admin.ts";
import { createLog } from "../log.ts";
import { isLoopbackHost } from "../model/address.ts";
import { wrongSetting } from "../model/exit.ts";
import type { ControlAddress } from "../proxy/config/control-client.ts";
import type { ProxySettings } from "../settings.ts";
import { startDataPlane } from "./data-plane.ts";
import { proxyCredential } from "./proxy-credential.ts";
import { untilStopped } from "./shutdown.ts";
import { readPem, readTls } from "./tls-files.ts";

/** How each address of `--control` is reached: TLS, but for loopback without `--control-ca` and for the operator's word. */
function controlAddresses(settings: ProxySettings): ControlAddress[] {
  const { control, controlCaPath, insecureControl } = settings;
  if (insecureControl && controlCaPath !== undefined)
    throw wrongSetting("--insecure-control and --control-ca: give one of them");
  const ca = controlCaPath === undefined ? undefined : readPem(controlCaPath, "control-ca");
  return control.map((address) => {
    const isClear = insecureControl || (ca === undefined && isLoopbackHost(address.host));
    return { address, tls: isClear ? undefined : { ...(ca !== undefined && { ca }) } };
  });
}

/** `conduit proxy`: the data plane, until it is told to stop. Ready as soon as it has a configuration to serve by. */
export async function runProxy(settings: ProxySettings, output: Output): Promise<void> {
  const log = createLog(settings.log);
  const registry = new Registry();
  const controls = controlAddresses(settings);
  makePrivateDirectory(settings.dataDir);
  const held = await proxyCredential({ ...settings, controls });
  const { host, dataDir, trustedProxies } = settings;
  const running = await startDataPlane({
    ...{ ...held, host, dataDir, trustedProxies, controls, log, registry },
    port: settings.proxyPort,
    isBehindTls: settings.behindTls,
    maxConfigAgeMs: settings.maxConfigAgeMs,
    tls: readTls(settings.tls),
  });
  let isStopping = false;
  const notReady = () => (isStopping ? "stopping" : running.plane.notReady());
  const admin = await listenAdmin({ port: settings.adminPort, registry, notReady }).catch(async (error: unknown) => {
    await running.stop();
    throw error;
  });
  log.info({ proxy: running.port, admin: admin.address.port }, "listening");
  const stopped = untilStopped(async () => {
    isStopping = true;
    await running.stop();
    await admin.drain(0);
  });
  await Promise.race([running.plane.whenReady(), stopped]);
  if (!isStopping) output.out("conduit ready");
  await stopped;
}
