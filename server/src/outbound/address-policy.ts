import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** IPv6 space that is handed out for the public internet (RFC 4291 2.4); everything outside is special or unassigned. */
const GLOBAL_UNICAST_V6: readonly [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("2000::"), 3];

/** RFC 6052 2.1: carries a public IPv4 address through a NAT64; the local-use prefix 64:ff9b:1::/48 stays refused. */
const NAT64_V6: readonly [ipaddr.IPv6, number] = [ipaddr.IPv6.parse("64:ff9b::"), 96];

/** Cloud metadata services that live in public space; all others are link-local, shared or unique local anyway. */
const PUBLIC_METADATA = new Set(["168.63.129.16"]);

/** What an address leads to. `special` = private, link-local, shared, metadata, multicast, reserved, transition, … */
export type AddressScope = "public" | "loopback" | "special";

/**
 * Scope of an IP address in text form (IPv4 in four decimal parts, IPv6 with or without zone). The ranges are those of
 * ipaddr.js, which follows the IANA special-purpose registries, plus what `GLOBAL_UNICAST_V6` leaves out. An address that
 * carries an IPv4 address (IPv4-mapped, NAT64) has that one's scope. Text that is no address is `special`.
 */
export function addressScope(address: string): AddressScope {
  // ipaddr.js also reads `127.1` and `0x7f000001`; an address that Node does not take as one is a name to be resolved.
  if (isIP(address) === 0) return "special";
  if (isIP(address) === 4) return scopeOfV4(ipaddr.IPv4.parse(address));
  // URL parsing spells a dotted tail in hex: ipaddr.js takes `::127.0.0.1` for the mapped `::ffff:127.0.0.1`.
  const [bare = ""] = address.split("%", 1);
  return scopeOfV6(ipaddr.IPv6.parse(new URL(`http://[${bare}]/`).hostname.slice(1, -1)));
}

function scopeOfV4(address: ipaddr.IPv4): AddressScope {
  const range = address.range();
  if (range === "loopback") return "loopback";
  return range === "unicast" && !PUBLIC_METADATA.has(address.toString()) ? "public" : "special";
}

function scopeOfV6(address: ipaddr.IPv6): AddressScope {
  if (address.isIPv4MappedAddress()) return scopeOfV4(address.toIPv4Address());
  if (address.match(...NAT64_V6)) {
    const scope = scopeOfV4(new ipaddr.IPv4(address.toByteArray().slice(12)));
    return scope === "public" ? "public" : "special";
  }
  const range = address.range();
  if (range === "loopback") return "loopback";
  return range === "unicast" && address.match(...GLOBAL_UNICAST_V6) ? "public" : "special";
}

/** What a connection is for, as far as addresses matter. */
export interface AddressRule {
  /** Plain `http:` leads to loopback addresses only: a credential never crosses a network in clear (contract.md 8). */
  readonly protocol: "http:" | "https:";
  /** The operator's word for this link or issuer: loopback, private and special addresses too. Default false. */
  readonly allowPrivate: boolean;
}

/** Why a connection to this resolved address is refused (public text without the address); undefined = allowed. */
export function addressRefusal(address: string, rule: AddressRule): string | undefined {
  const scope = addressScope(address);
  // Server-side request forgery: a tenant's URL must not reach what only this machine or its network can reach.
  if (scope !== "public" && !rule.allowPrivate) {
    return "The host's address is private, local or special; an operator can allow it with allow_private";
  }
  if (rule.protocol === "http:" && scope !== "loopback") {
    return "Plain http is only for loopback addresses: use https";
  }
  return undefined;
}
