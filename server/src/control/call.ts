import { type ContextValues, createContextKey } from "@connectrpc/connect";
import type { Principal } from "../model/api-key.ts";
import { ConduitError } from "../model/errors.ts";

/** A proxy that has shown its own credential. */
export interface ProxyPrincipal {
  /** `proxies/{proxy}`. */
  readonly proxy: string;
  /** SHA-256 of the credential shown, hex. */
  readonly credentialHash: string;
  /** Whether it should be replaced. */
  readonly isCredentialDue: boolean;
}

/** Set for methods that need an API key. */
export const principalKey = createContextKey<Principal | undefined>(undefined, { description: "owner of the API key" });

/** Set for methods that need a proxy's credential. */
export const proxyKey = createContextKey<ProxyPrincipal | undefined>(undefined, { description: "calling proxy" });

/** Joins an answer to the log; "" = not given yet. */
export const requestIdKey = createContextKey("", { description: "id of the call" });

/** Address of who calls, as text; "" = unknown, or a call inside this process. */
export const clientAddressKey = createContextKey("", { description: "address of the caller" });

/** What services read of a call's context. */
export interface Call {
  readonly values: ContextValues;
}

/** Who calls. Throws `credential_invalid` when nothing has authenticated the call: closed by default. */
export function principalOf(call: Call): Principal {
  const principal = call.values.get(principalKey);
  if (principal === undefined) throw new ConduitError("credential_invalid");
  return principal;
}

/** Which proxy calls; closed by default like `principalOf`. */
export function proxyOf(call: Call): ProxyPrincipal {
  const proxy = call.values.get(proxyKey);
  if (proxy === undefined) throw new ConduitError("credential_invalid");
  return proxy;
}
