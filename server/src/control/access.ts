import type { DescMessage, DescMethod, Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { ContextValues, Interceptor } from "@connectrpc/connect";
import { hasRole, type Principal } from "../model/api-key.ts";
import { ConduitError } from "../model/errors.ts";
import { projectOf } from "../model/resource-name.ts";
import type { Authenticator } from "./authenticate.ts";
import { clientAddressKey, principalKey, principalOf, proxyKey } from "./call.ts";
import { type Access, PERMISSIONS } from "./permissions.ts";
import { confirmCaller, setRecalledCaller } from "./recalled-caller.ts";

/** `package.Service/Method`, as rows of `PERMISSIONS` are named. */
export const methodId = (method: DescMethod): string => `${method.parent.typeName}/${method.name}`;

/**
 * Finds out who calls, by the method's row in `PERMISSIONS`, and keeps it in the call's values. Needs no message: the
 * listeners run it before they read the body, so that strangers cannot make us parse theirs. A method without a row asks
 * for an API key: who has none must not learn which methods exist.
 */
export async function identify(
  authenticator: Authenticator,
  method: DescMethod,
  header: Headers,
  values: ContextValues,
): Promise<void> {
  const authorization = header.get("authorization");
  const row = PERMISSIONS[methodId(method)];
  if (row?.by === "nothing") return;
  if (row?.by === "proxy_credential") values.set(proxyKey, await authenticator.proxy(authorization));
  else {
    const address = values.get(clientAddressKey);
    const recalled = row?.isConfirming === true ? authenticator.recall?.(authorization, address) : undefined;
    if (recalled === undefined) values.set(principalKey, await authenticator.apiKey(authorization, address));
    else setRecalledCaller(values, recalled);
  }
}

/**
 * Lets a call through only if its row in `PERMISSIONS` says so. Runs before validation: a refusal tells strangers
 * nothing about what the request would have met. Identifies the caller itself where the listener has not.
 */
export function access(authenticator: Authenticator): Interceptor {
  return (next) => async (request) => {
    const { method, contextValues: values } = request;
    if (values.get(principalKey) === undefined && values.get(proxyKey) === undefined)
      await identify(authenticator, method, request.header, values);
    const row = PERMISSIONS[methodId(method)];
    if (row === undefined) throw new ConduitError("not_supported", { detail: "There is no such method" });
    try {
      if (row.by === "api_key")
        authorize(principalOf({ values }), row, method.input, request.stream ? undefined : request.message);
      const answer = await next(request);
      await confirmCaller({ values });
      return answer;
    } catch (thrown) {
      // A refusal tells who has no key any more what the request would have met; that the database is away tells nothing.
      if (!(thrown instanceof ConduitError && thrown.code === "store_unavailable")) await confirmCaller({ values });
      throw thrown;
    }
  };
}

type ApiKeyAccess = Extract<Access, { by: "api_key" }>;

/** Throws `resource_not_found` for what is another project's, the same as for what is not there. */
function authorize(principal: Principal, row: ApiKeyAccess, desc: DescMessage, message: Message | undefined): void {
  if (row.project !== undefined && principal.role !== "operator") {
    const project = projectOf(message === undefined ? "" : textAt(desc, message, row.project));
    // A name without a project is the installation's; where there is no such thing validation refuses it.
    const isForeign = project === "" ? row.orInstallation === true : project !== principal.project;
    if (isForeign) throw new ConduitError("resource_not_found");
  }
  if (!hasRole(principal.role, row.role)) throw new ConduitError("permission_missing");
}

/** Text of a field by its path in proto names; "" when a message on the way is not set. Throws on a path that is none. */
export function textAt(desc: DescMessage, message: Message, path: string): string {
  const [name = "", ...rest] = path.split(".");
  const field = desc.fields.find((one) => one.name === name);
  if (field === undefined) throw new TypeError(`${desc.typeName} has no field ${name}`);
  const value = reflect(desc, message);
  if (field.fieldKind === "message" && rest.length > 0)
    return value.isSet(field) ? textAt(field.message, value.get(field).message, rest.join(".")) : "";
  return String(value.get(field));
}
