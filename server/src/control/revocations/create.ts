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
import { type AuditedCall, auditOf } from "../audit-of.ts";
import { createOnce } from "../create-once.ts";
import type { Deps } from "../deps.ts";
import { expiryViolations } from "../expiry.ts";
import { requireProject } from "../require-project.ts";
import { required } from "../required.ts";
import { found, readProjectName } from "../resource-path.ts";
import type { WrittenRevocation } from "../revocation-ledger.ts";
import { defaultExpiryMs, type NewRevocation, revocationOf, writeRevocation } from "../revocation-write.ts";

const EXPIRY_MAX_MS = 400 * 24 * 60 * 60 * 1000;

export async function createRevocation(
  deps: Deps,
  request: CreateRevocationRequest,
  context: AuditedCall,
): Promise<{ revocation: RevocationMessage; configSequence: bigint }> {
  const project = readProjectName(request.parent, "parent");
  const nowMs = deps.clock.now();
  const place = { project, id: request.revocationId || deps.random.uuid(), nowMs };
  const { row, sequence } =
    request.requestId === ""
      ? await createWithOthers(deps, request, place, context)
      : await createOnlyOnce(deps, request, place, context);
  return { revocation: revocationToMessage(revocationOf(row)), configSequence: sequence };
}

interface Place {
  readonly project: string;
  readonly id: string;
  readonly nowMs: number;
}

/** In one transaction with others that come at the same time. */
async function createWithOthers(
  deps: Deps,
  request: CreateRevocationRequest,
  place: Place,
  context: AuditedCall,
): Promise<WrittenRevocation> {
  const revocation = await deps.store.read((reader) => checkedRevocation(reader, request, place));
  const event = auditOf(context, revocationName(place.project, place.id), place.nowMs);
  return deps.revocationLedger.write({ revocation, event });
}

/** In one transaction with the claim of its request id. */
async function createOnlyOnce(
  deps: Deps,
  request: CreateRevocationRequest,
  place: Place,
  context: AuditedCall,
): Promise<WrittenRevocation> {
  const make = async (tx: Tx): Promise<Write<RevocationRow>> => {
    const { row, change } = await writeRevocation(tx, await checkedRevocation(tx, request, place), place.nowMs);
    return { result: row, changes: [change] };
  };
  const resourceName = revocationName(place.project, place.id);
  const outcome = await createOnce(
    deps,
    { context, schema: CreateRevocationRequestSchema, request, resourceName },
    make,
  );
  if ("made" in outcome) return { row: outcome.made, sequence: outcome.sequence };
  const id = idOf(outcome.earlierName);
  const row = await deps.store.read((reader) => getRevocation(reader, place.project, id));
  return { row: found(row), sequence: outcome.sequence };
}

async function checkedRevocation(
  reader: Reader,
  request: CreateRevocationRequest,
  { project, id, nowMs }: Place,
): Promise<NewRevocation> {
  await requireProject(reader, project);
  const wanted = required(request.revocation);
  const target = revocationTargetFromProto(wanted, { project, nowMs });
  const asked = msFromTimestamp(wanted.expireTime);
  const violations = [
    ...expiryViolations("revocation.expire_time", asked, nowMs),
    ...farExpiryViolations(asked, nowMs),
    ...issuedBeforeViolations(target, nowMs),
    ...(await nameViolations(reader, project, target)),
  ];
  if (violations.length > 0) throw invalidFields(violations);
  const expireTimeMs = asked ?? (await defaultExpiryMs(reader, project, target, nowMs));
  return { project, id, target, expireTimeMs, reason: wanted.reason };
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
