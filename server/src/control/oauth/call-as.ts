import { type CallOptions, createContextValues } from "@connectrpc/connect";
import type { Principal } from "../../model/api-key.ts";
import { clientAddressKey, principalKey, requestIdKey } from "../call.ts";
import type { EndpointRequest } from "./endpoint.ts";

/**
 * Options of a call to the API that an OAuth client has caused, as a listener would have set them.
 * @param principal undefined = the call brings its own credential
 */
export function callAs(
  principal: Principal | undefined,
  { request, requestId }: Pick<EndpointRequest, "request" | "requestId">,
): CallOptions {
  const contextValues = createContextValues()
    .set(principalKey, principal)
    .set(requestIdKey, requestId)
    .set(clientAddressKey, request.clientAddress);
  return { contextValues };
}
