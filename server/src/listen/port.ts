import type { Server } from "node:net";
import { urlHost } from "../model/address.ts";
import { type ExitError, refusedByEnvironment } from "../model/exit.ts";

/** Where a listener is to be. */
export interface ListenAddress {
  /** Address or name; `::` takes IPv4 too, and becomes `0.0.0.0` on a machine without IPv6. */
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** The flag that sets the port, without dashes (`grpc-port`): named in the error. */
  readonly flag: string;
}

/** Where it is. */
export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

/** A listener that accepts connections. */
export interface Listener {
  readonly address: BoundAddress;
  /**
   * Stops accepting, lets what is in flight finish for at most `graceMs` (default 30 s), then closes what is left.
   * Resolves when every connection is closed; may be called twice.
   */
  drain(graceMs?: number): Promise<void>;
}

/** Why binding failed, in words that say what to do. */
const BIND_ERRORS: Readonly<Record<string, (address: ListenAddress) => string>> = {
  EADDRINUSE: ({ port }) => `port ${port} is in use: stop what listens there, or choose another (0 = any free one)`,
  EACCES: ({ port }) => `port ${port} may not be opened by this user: choose one above 1023`,
  EADDRNOTAVAIL: ({ host }) => `${host} is not an address of this machine: give another --host`,
  ENOTFOUND: ({ host }) => `${host} cannot be resolved: give another --host`,
};

/** An `ExitError` (3) that names the flag. `text` is searched for an error code, since grpc-js gives nothing else. */
export function bindError(address: ListenAddress, cause: unknown): ExitError {
  const text = cause instanceof Error ? `${"code" in cause ? String(cause.code) : ""} ${cause.message}` : String(cause);
  const known = Object.entries(BIND_ERRORS).find(([code]) => text.includes(code));
  const reason = known?.[1](address) ?? `cannot listen on ${urlHost(address.host)}:${address.port}`;
  return refusedByEnvironment(`--${address.flag}: ${reason}`, cause);
}

/** Whether binding failed because the machine has no IPv6 at all. */
export const isWithoutIpv6 = (cause: unknown): boolean =>
  cause instanceof Error &&
  /EAFNOSUPPORT|EADDRNOTAVAIL/.test(`${"code" in cause ? String(cause.code) : ""} ${cause.message}`);

/** Binds a `node:net` server (HTTP included). @throws ExitError (3) naming the flag */
export async function bind(server: Server, address: ListenAddress): Promise<BoundAddress> {
  try {
    return await listen(server, address);
  } catch (cause) {
    if (address.host === "::" && isWithoutIpv6(cause)) return bind(server, { ...address, host: "0.0.0.0" });
    throw bindError(address, cause);
  }
}

function listen(server: Server, { host, port }: ListenAddress): Promise<BoundAddress> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve({ host, port: bound !== null && typeof bound === "object" ? bound.port : port });
    });
  });
}
