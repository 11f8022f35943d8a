import { rmSync } from "node:fs";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { signUserToken } from "@conduit-link/sdk/server";
import { createClient } from "@connectrpc/connect";
import { Registry } from "prom-client";
import type { Output } from "../cli/output.ts";
import { systemClock } from "../clock.ts";
import { type Control, LOCAL_OPERATOR } from "../control/control.ts";
import { makePrivateDirectory, readPrivateFile, writePrivateFile } from "../key-file.ts";
import { listenAdmin } from "../listen/admin.ts";
import { createLog, type Log } from "../log.ts";
import type { PlainRoute } from "../model/plain-http.ts";
import { SecretText } from "../model/secret-text.ts";
import { systemRandom } from "../random.ts";
import { type DevSettings, devMasterKey, urlOf } from "../settings.ts";
import { banner } from "./banner.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";
import { type RunningDataPlane, startDataPlane } from "./data-plane.ts";
import { type DemoFacts, ensureDemo } from "./demo-resources.ts";
import { type DemoUpstream, startDemoUpstream } from "./demo-upstream.ts";
import { type DevFile, readDevFile, writeDevFile } from "./dev-file.ts";
import { devPageRoutes } from "./dev-page.ts";
import { credentialPath } from "./proxy-credential.ts";
import { untilStopped } from "./shutdown.ts";

/** The demo's user. */
const USER = { sub: "123", claims: { email: "ada@example.com", role: "premium" } };
const SHOWN_TOKEN_LIFETIME = "1h";

/** Everything that runs, stopped in the opposite order. */
type Endings = Array<() => Promise<unknown>>;

/** `conduit dev`: both planes in one process, a demo upstream, demo links and a page, until it is told to stop. */
export async function runDev(settings: DevSettings, output: Output): Promise<void> {
  const endings: Endings = [];
  const stop = async () => {
    for (const end of endings.splice(0).reverse()) await end();
  };
  try {
    await start(settings, endings, output);
  } catch (error) {
    await stop();
    throw error;
  }
  output.out("conduit ready");
  await untilStopped(stop);
}

async function start(settings: DevSettings, endings: Endings, output: Output): Promise<void> {
  const { dataDir, host } = settings;
  const startTime = new Date(systemClock.now()).toISOString();
  const devPath = `${dataDir}/dev.json`;
  makePrivateDirectory(dataDir);
  const previous = readDevFile(devPath);
  const log = createLog(settings.log);
  const registry = new Registry();
  const routes: PlainRoute[] = [];
  const control = await startDevControlPlane(settings, { log, registry, routes });
  endings.push(() => control.stop());
  const upstreamKey = randomSecret();
  const upstream = await startDemoUpstream(upstreamKey, portOf(previous?.upstream_url));
  endings.push(() => upstream.close());
  const demo = await prepareDemo(control.control, { upstream, upstreamKey, previous });
  const data = await startDevDataPlane(settings, control, { log, registry });
  endings.push(() => data.stop());
  const admin = await listenAdmin({ port: settings.adminPort, registry, notReady: () => undefined });
  endings.push(() => admin.drain(0));
  const file: DevFile = {
    ...demo,
    proxy_url: urlOf("http", host, data.port),
    control_url: control.httpUrl,
    admin_url: urlOf("http", admin.address.host, admin.address.port),
    grpc_address: `127.0.0.1:${control.grpcPort}`,
    upstream_url: upstream.url,
    pid: process.pid,
    start_time: startTime,
  };
  routes.push(...pageRoutes(file, devPath));
  await untilConfigured(control, data);
  writeDevFile(devPath, file);
  const userToken = await signDemoToken(file, SHOWN_TOKEN_LIFETIME);
  output.out(banner({ file, dataDir, userToken, masterKeyPath: `${dataDir}/master.key` }));
}

interface DevParts {
  readonly log: Log;
  readonly registry: Registry;
}

function startDevControlPlane(
  settings: DevSettings,
  parts: DevParts & { readonly routes: PlainRoute[] },
): Promise<ControlPlane> {
  const { dataDir, host, httpPort, grpcPort, publicUrl, trustedProxies } = settings;
  const { key, isNew } = devMasterKey(dataDir);
  parts.log.info(
    isNew
      ? "made a master key beside the data: for development only"
      : "using the master key beside the data: for development only",
  );
  return startControlPlane({
    ...{ host, httpPort, grpcPort, publicUrl, trustedProxies, ...parts },
    location: { kind: "pglite", dataDir },
    masterKeys: key,
    tls: undefined,
    reflection: true,
  });
}

function prepareDemo(
  control: Control,
  {
    upstream,
    upstreamKey,
    previous,
  }: { upstream: DemoUpstream; upstreamKey: SecretText; previous: DevFile | undefined },
): Promise<DemoFacts> {
  return ensureDemo({
    transport: control.transportAs(LOCAL_OPERATOR),
    upstreamUrl: upstream.url,
    upstreamKey,
    previous,
    newHs256Secret: randomSecret,
    isApiKeyValid: (key) => isAccepted(control, key),
  });
}

async function startDevDataPlane(
  settings: DevSettings,
  control: ControlPlane,
  { log, registry }: DevParts,
): Promise<RunningDataPlane> {
  const { dataDir, host, trustedProxies, proxyPort } = settings;
  const credential = await devProxyCredential(control.control, dataDir);
  const controls = [{ address: { host: "127.0.0.1", port: control.grpcPort }, tls: undefined }];
  const port = proxyPort;
  return startDataPlane({ host, port, tls: undefined, dataDir, trustedProxies, credential, controls, log, registry });
}

/** The own proxy joins like any other, once; again when the database no longer knows it. */
async function devProxyCredential(control: Control, dataDir: string): Promise<SecretText> {
  const path = credentialPath(dataDir);
  const known = readCredential(path);
  if (known !== undefined && (await isAccepted(control, known.reveal()))) return known;
  const proxies = createClient(ProxyService, control.transportAs(LOCAL_OPERATOR));
  const { joinToken } = await proxies.createJoinToken({ displayName: "conduit dev" });
  const { credential } = await proxies.joinProxy({ joinToken });
  rmSync(path, { force: true });
  writePrivateFile(path, `${credential}\n`);
  return new SecretText(credential);
}

function readCredential(path: string): SecretText | undefined {
  try {
    return readPrivateFile(path, "proxy credential");
  } catch {
    return undefined;
  }
}

const isAccepted = (control: Control, credential: string): Promise<boolean> =>
  control.authenticate(new Headers({ authorization: `Bearer ${credential}` })).then(
    () => true,
    () => false,
  );

/** 32 random bytes as text. */
const randomSecret = (): SecretText => new SecretText(Buffer.from(systemRandom.bytes(32)).toString("base64url"));

const portOf = (url: string | undefined): number =>
  url !== undefined && URL.canParse(url) ? Number(new URL(url).port) : 0;

const signDemoToken = (file: DevFile, expiresIn: string | number): Promise<string> =>
  signUserToken({ ...USER, secret: file.hs256_secret, issuer: file.iss, expiresIn });

function pageRoutes(file: DevFile, devFilePath: string): readonly PlainRoute[] {
  const { proxy_url, control_url, grpc_address, link, link_id, link_token, project } = file;
  return devPageRoutes({
    facts: { proxy_url, control_url, grpc_address, link, link_id, link_token, project, dev_file: devFilePath },
    signDemoToken: (lifetimeSeconds) => signDemoToken(file, lifetimeSeconds),
  });
}

/** What was just written must be in force before anybody is told that it is. */
async function untilConfigured(control: ControlPlane, data: RunningDataPlane): Promise<void> {
  await data.plane.whenReady();
  const { sequence } = control.hub.head();
  while (data.plane.status().sequence < sequence) await new Promise((resolve) => setTimeout(resolve, 10));
}
