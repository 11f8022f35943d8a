import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { type Output, printResult } from "./output.ts";
import { proxyNameOf } from "./proxy-name.ts";

/** `RotateProxyCredentialResponse` in JSON, as far as it is shown. */
interface Asked {
  readonly proxy: { readonly name: string; readonly credentialCreateTime?: string };
}

/** `conduit proxy rotate`: asks a proxy to replace its credential. */
export async function proxyRotate(
  settings: ClientSettings,
  proxy: string,
  { json }: { readonly json: boolean },
  output: Output,
): Promise<void> {
  const client = controlClient(settings);
  const request = { name: proxyNameOf(proxy) };
  const { proxy: asked } = await orExit(
    client.call<Asked>("conduit.v1.ProxyService", "RotateProxyCredential", request),
  );
  if (!json)
    output.err("It replaces its credential within seconds, once it is connected; one from the environment it cannot.");
  printResult(output, { name: asked.name, credential_create_time: asked.credentialCreateTime ?? "" }, json);
}
