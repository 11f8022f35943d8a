import { wrongSetting } from "../model/exit.ts";
import { canonicalAddress, isInNetworks, type Network, parseNetwork } from "./client-address.ts";

/** Says who a request comes from; see `createClientAddress`. */
export type ClientAddress = (peerAddress: string, forwardedFor: readonly string[]) => string;

/**
 * Client address behind trusted proxies (contract.md 8): the peer, or behind a trusted peer the rightmost entry of
 * `X-Forwarded-For` that is not trusted itself. Entries left of it could be the client's own invention.
 * @param trusted addresses and CIDR networks
 * @throws ExitError (2) when one is neither
 */
export function createClientAddress(trusted: readonly string[]): ClientAddress {
  const networks = trusted.map(networkOf);
  if (networks.length === 0) return plainAddress;
  return (peerAddress, forwardedFor) => {
    let client = plainAddress(peerAddress);
    const hops = forwardedFor.length === 0 ? [] : forwardedFor.join(",").split(",");
    while (isInNetworks(client, networks)) {
      const hop = addressOfEntry(hops.pop() ?? "");
      // Nothing left, or nonsense: the trusted proxy itself is the last address we know.
      if (hop === undefined) return client;
      client = hop;
    }
    return client;
  };
}

/** IPv4 in its own form, also when it came through a dual-stack socket (`::ffff:192.0.2.1`). */
const plainAddress = (address: string): string =>
  address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;

/** `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]:1234`; undefined for anything else. One spelling out. */
function addressOfEntry(entry: string): string | undefined {
  const text = entry
    .trim()
    .replace(/^\[(.*)\](?::\d+)?$/, "$1")
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1");
  return canonicalAddress(text);
}

function networkOf(text: string): Network {
  const parsed = parseNetwork(text);
  if ("value" in parsed) return parsed.value;
  throw wrongSetting(`--trusted-proxies: every entry ${parsed.problem}`);
}
