import ipaddr from "ipaddr.js";
import type { Parsed } from "./parsed.ts";

/** An IPv6 customer has at least a /64 of his own: limits count the network, or each of its 2^64 addresses had a bucket. */
const SUBSCRIBER_BITS_V6 = 64;

/** A network to compare addresses with; opaque. */
export interface Network {
  readonly base: ipaddr.IPv4 | ipaddr.IPv6;
  readonly bits: number;
}

/** Four decimal parts or IPv6, without the shortened IPv4 forms (`127.1`, `0x7f000001`) that ipaddr.js would read too. */
function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(":") && ipaddr.IPv6.isValid(text));
  return isAddress ? ipaddr.process(text) : undefined;
}

/** An address in its one spelling: IPv4-mapped IPv6 as IPv4, IPv6 compressed; undefined when it is none. */
export const canonicalAddress = (text: string): string | undefined =>
  // Four decimal parts have no other spelling: most callers of the API need not be taken apart and put together again.
  ipaddr.IPv4.isValidFourPartDecimal(text) ? text : parseAddress(text)?.toString();

/** Reads an address (`192.0.2.1`, `2001:db8::1`) or a network (`192.0.2.0/24`). IPv4-mapped IPv6 counts as IPv4. */
export function parseNetwork(text: string): Parsed<Network> {
  const [host = "", prefix, ...rest] = text.split("/");
  const base = parseAddress(host);
  if (base === undefined || rest.length > 0)
    return { problem: "must be an IP address or a network such as 192.0.2.0/24" };
  const width = base.kind() === "ipv4" ? 32 : 128;
  if (prefix === undefined) return { value: { base, bits: width } };
  const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (!(bits <= width)) return { problem: `the length after / must be between 0 and ${width}` };
  return { value: { base, bits } };
}

/** Whether an address lies in one of the networks; text that is no address lies in none. */
export function isInNetworks(address: string, networks: readonly Network[]): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  return networks.some(({ base, bits }) => base.kind() === parsed.kind() && isInNetwork(parsed, base, bits));
}

function isInNetwork(address: ipaddr.IPv4 | ipaddr.IPv6, base: ipaddr.IPv4 | ipaddr.IPv6, bits: number): boolean {
  if (address instanceof ipaddr.IPv4) return base instanceof ipaddr.IPv4 && address.match(base, bits);
  return base instanceof ipaddr.IPv6 && address.match(base, bits);
}

/** A client as limits count it: the IPv4 address, or the /64 of an IPv6 address (contract.md 8). Other text as it is. */
export function addressBucket(address: string): string {
  const parsed = parseAddress(address);
  if (parsed === undefined || parsed instanceof ipaddr.IPv4) return parsed?.toString() ?? address;
  const network = parsed.parts.slice(0, SUBSCRIBER_BITS_V6 / 16).map((part) => part.toString(16));
  return `${network.join(":")}::/${SUBSCRIBER_BITS_V6}`;
}
