import { isIP } from "node:net";
import { isLoopbackHost } from "../model/address.ts";

/** A request as far as the host rule looks. */
export interface HostCheck {
  /** The `Host` header. */
  readonly host: string | undefined;
  /** Whether the request has an `Origin` or `Sec-Fetch-Site` header. */
  readonly isFromBrowser: boolean;
}

export interface HostRule {
  /** Host names (without port, lower case) the port is known by, as of the public URL. */
  readonly names: readonly string[];
  /** Also for requests that no browser marks: for ports on loopback, whose clients know no other names. */
  readonly isStrict: boolean;
}

export type HostVerdict = "allowed" | "malformed" | "foreign";

/**
 * Whether a request may be answered under the name it used. DNS rebinding: a web page points its own name at this address
 * and talks to it as its own origin; it then uses its own name, which is no address, not `localhost`, and not ours.
 */
export function judgeHost({ host, isFromBrowser }: HostCheck, { names, isStrict }: HostRule): HostVerdict {
  const name = hostNameOf(host);
  if (name === undefined) return "malformed";
  const bare = name.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) !== 0 || isLoopbackHost(name) || names.includes(name)) return "allowed";
  return isStrict || isFromBrowser ? "foreign" : "allowed";
}

/** Name in a Host header, lower case, port and a final dot removed; undefined when it is not `host[:port]`. */
function hostNameOf(host: string | undefined): string | undefined {
  if (host === undefined || !/^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/.test(host)) return undefined;
  if (!URL.canParse(`http://${host}/`)) return undefined;
  return new URL(`http://${host}/`).hostname.replace(/\.$/, "");
}
