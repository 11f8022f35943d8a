import { create } from "@bufbuild/protobuf";
import {
  type Project as ProjectMessage,
  ProjectSchema,
  SameSite,
  type SessionCookies as SessionCookiesMessage,
} from "@conduit-link/proto/conduit/v1/project_service_pb";
import { type CookieSameSite, type Project, SESSION_COOKIES_DEFAULT, type SessionCookies } from "../model/project.ts";
import { enumTable } from "./enum-table.ts";
import { metaToProto, type ResourceMeta } from "./resource-meta.ts";
import { durationFromMs } from "./time.ts";

export function projectToProto(project: Project, meta: ResourceMeta): ProjectMessage {
  const message = create(ProjectSchema, {
    ...metaToProto(meta),
    name: project.name,
    displayName: project.displayName,
    issuer: project.issuer,
    sessionCookies: sessionCookiesToProto(project.sessionCookies),
  });
  message.accessTokenLifetime = durationFromMs(project.accessTokenLifetimeMs);
  message.accessTokenLifetimeMax = durationFromMs(project.accessTokenLifetimeMaxMs);
  message.sessionIdleLifetime = durationFromMs(project.sessionIdleLifetimeMs);
  message.sessionAbsoluteLifetime = durationFromMs(project.sessionAbsoluteLifetimeMs);
  return message;
}

const { STRICT, LAX, NONE } = SameSite;
const SAME_SITES = enumTable<CookieSameSite, SameSite>("same_site", { STRICT, LAX, NONE });

const sessionCookiesToProto = ({ sameSite, origins, domain }: SessionCookies) => ({
  sameSite: SAME_SITES.toProto(sameSite),
  origins: [...origins],
  domain,
});

/** Checks nothing: `policy/session-cookies-check.ts` does. @throws ConduitError `field_invalid` for an unknown SameSite */
export function sessionCookiesFromProto(message: SessionCookiesMessage | undefined): SessionCookies {
  if (message === undefined) return SESSION_COOKIES_DEFAULT;
  const { sameSite, origins, domain } = message;
  return { sameSite: SAME_SITES.fromProto(sameSite, SESSION_COOKIES_DEFAULT.sameSite), origins, domain };
}
