import { isIP, type LookupFunction } from "node:net";
import { buildConnector } from "undici";
import { ConduitError } from "../model/errors.ts";
import { type AddressRule, addressRefusal } from "./address-policy.ts";
import type { Resolve } from "./resolver.ts";

export interface DialOptions {
  /** The operator's word for this link or issuer. Default of every caller: false. */
  readonly allowPrivate: boolean;
  /** Resolving, TCP and TLS together. undici measures it to about half a second. */
  readonly connectTimeoutMs: number;
  /** Authorities (PEM) for TLS, instead of the system's; the host's name is checked all the same. */
  readonly caCertificates?: string;
}

/**
 * Makes the `connect` function of an undici Client, Pool or Agent. A pool keeps its connections by origin, so targets that
 * differ in `allowPrivate` must not share one: the stricter link would ride on the other's connection.
 */
export type Dialer = (options: DialOptions) => buildConnector.connector;

/**
 * The one way out: resolves the URL's host, refuses unless every address is allowed, and connects to just these addresses.
 * No second resolution takes place, so a name that changes its answer (DNS rebinding) gains nothing. `Host` and SNI stay
 * the URL's. HTTP/1.1 only. A refusal fails the request with `ConduitError` `upstream_address_refused`.
 */
export function createDialer(resolve: Resolve): Dialer {
  return ({ allowPrivate, connectTimeoutMs, caCertificates }) => {
    const connectorFor = (protocol: AddressRule["protocol"]): buildConnector.connector => {
      const rule: AddressRule = { protocol, allowPrivate };
      const connect = buildConnector({
        allowH2: false,
        timeout: connectTimeoutMs,
        lookup: checkedLookup(resolve, rule),
        autoSelectFamily: true,
        ...(caCertificates !== undefined && { ca: caCertificates }),
      });
      return (target, callback) => {
        // Node never calls `lookup` for a host that is an address already.
        const refusal = isIP(target.hostname) === 0 ? undefined : addressRefusal(target.hostname, rule);
        if (refusal === undefined) return connect(target, callback);
        queueMicrotask(() => callback(refused(refusal), null));
      };
    };
    const http = connectorFor("http:");
    const https = connectorFor("https:");
    return (target, callback) => (target.protocol === "https:" ? https : http)(target, callback);
  };
}

const refused = (detail: string): ConduitError => new ConduitError("upstream_address_refused", { detail });

/** `lookup` of `net.connect`: the addresses it hands over are the ones connected to, and all of them are allowed. */
function checkedLookup(resolve: Resolve, rule: AddressRule): LookupFunction {
  return (hostname, options, callback) => {
    checkedAddresses(resolve, hostname, rule).then(
      (addresses) => {
        const [first] = addresses;
        if (options.all === true) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (cause: unknown) => callback(cause instanceof Error ? cause : new Error("lookup failed", { cause }), ""),
    );
  };
}

type AtLeastOne<T> = readonly [T, ...T[]];
type Addresses = Awaited<ReturnType<Resolve>>;

async function checkedAddresses(
  resolve: Resolve,
  hostname: string,
  rule: AddressRule,
): Promise<AtLeastOne<Addresses[number]>> {
  const [first, ...others] = await resolve(hostname);
  if (first === undefined) throw new Error("the name has no address");
  // All or nothing: a name that mixes public and private addresses is an attempt, or a mistake worth seeing.
  for (const { address } of [first, ...others]) {
    const refusal = addressRefusal(address, rule);
    if (refusal !== undefined) throw refused(refusal);
  }
  return [first, ...others];
}
