import { linkName } from "../../model/resource-name.ts";
import { OAuthFault } from "./fault.ts";
import type { Form } from "./form.ts";

/**
 * The links a token is wanted for, as resource names: `resource` (RFC 8707) and `audience` (RFC 8693 2.1) hold a link's
 * resource name or its id. Whether there are such links is for the API to say.
 */
export function linksOf(form: Form, project: string): readonly string[] | OAuthFault {
  const wanted = [...form.all("resource"), ...form.all("audience")];
  if (wanted.length === 0)
    return new OAuthFault("invalid_target", "Name the links the token is for in resource or audience");
  return [...new Set(wanted.map((name) => (name.includes("/") ? name : linkName(project, name))))];
}
