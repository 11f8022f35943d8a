import { wrongSetting } from "../model/exit.ts";

/** Name of a proxy given by its name or its id. @throws ExitError (2) */
export function proxyNameOf(proxy: string): string {
  const name = proxy.startsWith("proxies/") ? proxy : `proxies/${proxy}`;
  if (!/^proxies\/[^/]+$/.test(name))
    throw wrongSetting("<proxy>: give proxies/<id> or the id, as `conduit proxy list` shows it");
  return name;
}
