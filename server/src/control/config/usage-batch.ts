import type { ReportUsageRequest, UsageIncrement } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { ERRORS, type FieldViolation, invalidFields } from "../../model/errors.ts";
import { parseName } from "../../model/resource-name.ts";
import type { UsageRow } from "../../store/usage.ts";
import { msFromTimestamp } from "../../wire/time.ts";

const MINUTE_MS = 60_000;

/** A proxy's counts as rows. Throws `field_invalid` naming what no proxy of ours would send. */
export function readUsageBatch({ increments }: ReportUsageRequest): UsageRow[] {
  const violations = increments.flatMap(violationsOf);
  if (violations.length > 0) throw invalidFields(violations);
  return increments.map(toRow);
}

function violationsOf({ minute, outcome, link, statusClass }: UsageIncrement, index: number): FieldViolation[] {
  const problems: readonly (readonly [field: string, problem: string | undefined])[] = [
    ["minute", minute === undefined ? "is required" : undefined],
    ["outcome", isOutcome(outcome) ? undefined : "must be ok or a code of the error catalogue"],
    ["link", link === "" || parseName("link", link) !== undefined ? undefined : "must be a link's name, or empty"],
    ["status_class", statusClass >= 1 && statusClass <= 5 ? undefined : "must be 1-5"],
  ];
  return problems.flatMap(([field, description]) =>
    description === undefined ? [] : [{ field: `increments[${index}].${field}`, description }],
  );
}

const isOutcome = (outcome: string): boolean => outcome === "ok" || Object.hasOwn(ERRORS, outcome);

function toRow({ minute, link, subject, outcome, statusClass, requests }: UsageIncrement): UsageRow {
  const [project = "", linkId = ""] = parseName("link", link) ?? [];
  const startMs = Math.floor((msFromTimestamp(minute) ?? 0) / MINUTE_MS) * MINUTE_MS;
  return { project, minute: new Date(startMs), link: linkId, subject, outcome, statusClass, requests };
}
