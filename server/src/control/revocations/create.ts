import {
  type CreateRevocationRequest,
  CreateRevocationRequestSchema,
  type Revocation as RevocationMessage,
} from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import type { Write } from "../../config-log/commit.ts";
import { type FieldViolation, invalidFields } from "../../model/errors.ts";
import { idOf, projectOf, revocationName } from "../../model/resource-name.ts";
import type { RevocationTarget } from "../../model/revocation.ts";
import type { Reader, Tx } from "../../store/database.ts";
import { getIssuer } from "../../store/issuers.ts";
import { getLink } from "../../store/links.ts";
import { getRevocation, type RevocationRow } from "../../store/revocations.ts";
import { revocationTargetFromProto, revocationToMessage } from "../../wire/revocation.ts";
import { msFromTimestamp } from "../../wire/time.ts";
import type { AuditedCall } from "../audit-of.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { expiryViolations } from "../expiry.ts";
import { requireProject } from "../require-project.ts";
import { required } from "../required.ts";
import { found, readProjectName } from "../resource-path.ts";
import { defaultExpiryMs, revocationOf, writeRevocation } from "../revocation-write.ts";

const EXPIRY_MAX_MS = 400 * 24 * 60 * 60 * 1000;

export async function createRevocation(
  deps: Deps,
  request: CreateRevocationRequest,
  context: AuditedCall,
): Promise<{ revocation: RevocationMessage; configSequence: bigint }> {
  const project = readProjectName(request.parent, "parent");
  const nowMs = deps.clock.now();
  const id = request.revocationId || deps.random.uuid();
  const make = (tx: Tx) => makeRevocation(tx, request, { project, id, nowMs });
  const resourceName = revocationName(project, id);
  const call = { context, schema: CreateRevocationRequestSchema, request, resourceName };
  const outcome = await createOnce(deps, call, make);
  const row =
    "made" in outcome
      ? outcome.made
      : found(await deps.store.read((reader) => getRevocation(reader, project, idOf(outcome.earlierName))));
  return { revocation: revocationToMessage(revocationOf(row)), configSequence: outcome.sequence };
}

interface Place {
  readonly project: string;
  readonly id: string;
  readonly nowMs: number;
}

async function makeRevocation(
  tx: Tx,
  request: CreateRevocationRequest,
  { project, id, nowMs }: Place,
): Promise<Write<RevocationRow>> {
  await requireProject(tx, project);
  const wanted = required(request.revocation);
  const target = revocationTargetFromProto(wanted, { project, nowMs });
  const asked = msFromTimestamp(wanted.expireTime);
  const violations = [
    ...expiryViolations("revocation.expire_time", asked, nowMs),
    ...farExpiryViolations(asked, nowMs),
    ...issuedBeforeViolations(target, nowMs),
    ...(await nameViolations(tx, project, target)),
  ];
  if (violations.length > 0) throw invalidFields(violations);
  const expireTimeMs = asked ?? (await defaultExpiryMs(tx, project, target, nowMs));
  const { row, change } = await writeRevocation(
    tx,
    { project, id, target, expireTimeMs, reason: wanted.reason },
    nowMs,
  );
  return { result: row, changes: [change] };
}

function farExpiryViolations(expireTimeMs: number | undefined, nowMs: number): FieldViolation[] {
  const isFar = expireTimeMs !== undefined && expireTimeMs > nowMs + EXPIRY_MAX_MS;
  return isFar ? [{ field: "revocation.expire_time", description: "must lie within 400 days" }] : [];
}

/** Tokens not yet issued cannot be told from those that will be: a new one would have to be dated into the future. */
function issuedBeforeViolations(target: RevocationTarget, nowMs: number): FieldViolation[] {
  if (!("issuedBeforeMs" in target) || target.issuedBeforeMs <= nowMs) return [];
  return [{ field: `revocation.${target.kind}.issued_before`, description: "must not lie in the future" }];
}

/** A name of nothing, or of another project's, would withdraw nothing and say nothing. */
async function nameViolations(reader: Reader, project: string, target: RevocationTarget): Promise<FieldViolation[]> {
  if (target.kind === "link") {
    const isKnown = projectOf(target.link) === project && (await getLink(reader, project, idOf(target.link)));
    return isKnown ? [] : [{ field: "revocation.link.link", description: "names no link of the project" }];
  }
  if (!("issuer" in target) || target.issuer === undefined || target.issuer === "") return [];
  const isKnown = projectOf(target.issuer) === project && (await getIssuer(reader, project, idOf(target.issuer)));
  const field = `revocation.${target.kind}.issuer`;
  return isKnown ? [] : [{ field, description: "names no issuer of the project" }];
}
