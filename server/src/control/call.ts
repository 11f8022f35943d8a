import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Principal } from "../model/api-key.ts";
import { ConduitError } from "../model/errors.ts";

/** A proxy that has shown its own credential. */
export interface ProxyPrincipal {
  /** `proxies/{proxy}`. */
  readonly proxy: string;
}

/** Set by the access interceptor for methods that need an API key. */
export const principalKey = createContextKey<Principal | undefined>(undefined, { description: "owner of the API key" });

/** Set by the access interceptor for methods that need a proxy's credential. */
export const proxyKey = createContextKey<ProxyPrincipal | undefined>(undefined, { description: "calling proxy" });

/** Who calls. Throws `credential_invalid` when a service was mounted without the access interceptor: closed by default. */
export function principalOf(context: Pick<HandlerContext, "values">): Principal {
  const principal = context.values.get(principalKey);
  if (principal === undefined) throw new ConduitError("credential_invalid");
  return principal;
}

/** Which proxy calls; closed by default like `principalOf`. */
export function proxyOf(context: Pick<HandlerContext, "values">): ProxyPrincipal {
  const proxy = context.values.get(proxyKey);
  if (proxy === undefined) throw new ConduitError("credential_invalid");
  return proxy;
}
