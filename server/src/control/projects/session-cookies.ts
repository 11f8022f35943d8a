import type { Project as ProjectMessage } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { invalidFields } from "../../model/errors.ts";
import type { SessionCookies } from "../../model/project.ts";
import { checkSessionCookies } from "../../policy/session-cookies-check.ts";
import { sessionCookiesFromProto } from "../../wire/project.ts";

/** How a project keeps sessions in cookies, as a message says it. @throws ConduitError `field_invalid` */
export function sessionCookiesOf(message: ProjectMessage | undefined, issuer: string): SessionCookies {
  const cookies = sessionCookiesFromProto(message?.sessionCookies);
  const violations = checkSessionCookies(cookies, issuer);
  if (violations.length > 0) throw invalidFields(violations);
  return cookies;
}
