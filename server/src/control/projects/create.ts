import {
  type CreateProjectRequest,
  CreateProjectRequestSchema,
  type Project as ProjectMessage,
} from "@conduit-link/proto/conduit/v1/project_service_pb";
import type { Write } from "../../config-log/commit.ts";
import { generateSigningKey } from "../../jwt/signing-key.ts";
import { DEFAULT_ALGORITHMS, type Issuer, LEEWAY_DEFAULTS } from "../../model/issuer.ts";
import { BUILT_IN_ISSUER_ID } from "../../model/project.ts";
import { idOf, issuerName, projectName } from "../../model/resource-name.ts";
import { insertDataKey } from "../../store/data-keys.ts";
import type { Tx } from "../../store/database.ts";
import { insertIssuer } from "../../store/issuers.ts";
import { getProject, insertProject, type ProjectRow } from "../../store/projects.ts";
import { insertSigningKey } from "../../store/signing-keys.ts";
import type { AuditedCall } from "../audit-of.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { issuerChange } from "../issuer-change.ts";
import { issuerSpecOf } from "../issuer-row.ts";
import { newId } from "../new-id.ts";
import { found } from "../resource-path.ts";
import { signingKeyRow } from "../signing-keys.ts";
import { projectMessageOf } from "./convert.ts";
import { lifetimesOf } from "./lifetimes.ts";
import { sessionCookiesOf } from "./session-cookies.ts";

/** A project's id has 40 characters at most: it stands in its issuer's URL. */
const SLUG_MAX = 31;

/** A project with all that belongs to it from the start: data key, built-in issuer, first signing key. */
export async function createProject(
  deps: Deps,
  request: CreateProjectRequest,
  context: AuditedCall,
): Promise<{ project: ProjectMessage; configSequence: bigint }> {
  const displayName = request.project?.displayName ?? "";
  const lifetimes = lifetimesOf(request.project);
  const id = request.projectId || newId(deps.random, displayName, "project", SLUG_MAX);
  const now = new Date(deps.clock.now());
  const dataKey = deps.keyring.createDataKey(id);
  // Made before the transaction, which waits for nothing but the database.
  const signingKey = signingKeyRow(deps, dataKey, await generateSigningKey(), "ACTIVE", now);
  const issuer = builtInIssuer(id, `${deps.publicUrl()}/p/${id}`);
  const sessionCookies = sessionCookiesOf(request.project, issuer.iss);
  const make = async (tx: Tx): Promise<Write<ProjectRow>> => {
    const times = { createTime: now, updateTime: now };
    const result = await insertProject(tx, {
      id,
      displayName,
      issuer: issuer.iss,
      ...lifetimes,
      sessionCookies,
      ...times,
    });
    await insertDataKey(tx, dataKey, now);
    await insertSigningKey(tx, signingKey);
    await insertIssuer(tx, { project: id, id: BUILT_IN_ISSUER_ID, spec: issuerSpecOf(issuer), ...times });
    return { result, changes: [await issuerChange(tx, issuer, now.getTime())] };
  };
  const call = { context, schema: CreateProjectRequestSchema, request, resourceName: projectName(id) };
  const outcome = await createOnce(deps, call, make);
  const row =
    "made" in outcome
      ? outcome.made
      : found(await deps.store.read((reader) => getProject(reader, idOf(outcome.earlierName))));
  return { project: projectMessageOf(row), configSequence: outcome.sequence };
}

/** Exact about expiry: our own clock signs, and the keys come by our own stream. */
const builtInIssuer = (project: string, iss: string): Issuer => ({
  name: issuerName(project, BUILT_IN_ISSUER_ID),
  displayName: "Built-in",
  iss,
  keys: { kind: "built_in" },
  algorithms: DEFAULT_ALGORITHMS.built_in,
  expLeewayMs: 0,
  clockLeewayMs: LEEWAY_DEFAULTS.clockLeewayMs,
  acceptIdTokens: false,
  allowPrivate: false,
});
