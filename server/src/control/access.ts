import type { DescMessage, DescMethod, Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Interceptor } from "@connectrpc/connect";
import { hasRole, type Principal } from "../model/api-key.ts";
import { ConduitError } from "../model/errors.ts";
import { projectOf } from "../model/resource-name.ts";
import type { Authenticator } from "./authenticate.ts";
import { principalKey, proxyKey } from "./call.ts";
import { type Access, PERMISSIONS } from "./permissions.ts";

/** `package.Service/Method`, as rows of `PERMISSIONS` are named. */
export const methodId = (method: DescMethod): string => `${method.parent.typeName}/${method.name}`;

/**
 * Lets a call through only if its row in `PERMISSIONS` says so. Runs before validation, so that a refusal tells
 * strangers nothing about what a request would have met. A method without a row authenticates first, too: an
 * unauthenticated caller must not learn which methods exist.
 */
export function access(authenticator: Authenticator): Interceptor {
  return (next) => async (request) => {
    const authorization = request.header.get("authorization");
    const row = PERMISSIONS[methodId(request.method)];
    if (row?.by === "proxy_credential") {
      request.contextValues.set(proxyKey, await authenticator.proxy(authorization));
    } else if (row?.by !== "nothing") {
      const principal = await authenticator.apiKey(authorization);
      if (row === undefined) throw new ConduitError("not_supported", { detail: "There is no such method" });
      authorize(principal, row, request.method.input, request.stream ? undefined : request.message);
      request.contextValues.set(principalKey, principal);
    }
    return next(request);
  };
}

type ApiKeyAccess = Extract<Access, { by: "api_key" }>;

/** Throws `resource_not_found` for another project, the same as for a resource that is not there. */
function authorize(principal: Principal, row: ApiKeyAccess, desc: DescMessage, message: Message | undefined): void {
  if ("project" in row) {
    const project = projectOf(message === undefined ? "" : textAt(desc, message, row.project));
    // A name without a project is no project's: it is the installation's, or validation refuses it.
    const isForeign = project === "" ? "orInstallation" in row : project !== principal.project;
    if (principal.project !== undefined && isForeign) throw new ConduitError("resource_not_found");
    if (project === "" && "orInstallation" in row && principal.role !== "operator")
      throw new ConduitError("resource_not_found");
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
