import { create, fromJson, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type CompareLinkRevisionsResponseSchema,
  type FieldChange as FieldChangeMessage,
  FieldChangeSchema,
  type LinkRevision,
  LinkRevisionSchema,
  LinkSchema,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import type { AuditEvent } from "../../model/audit-event.ts";
import { linkRevisionName } from "../../model/resource-name.ts";
import type { Reader, Tx } from "../../store/database.ts";
import {
  getLinkRevision,
  insertLinkRevision,
  type LinkRevisionRow,
  listLinkRevisions,
} from "../../store/link-revisions.ts";
import type { LinkRow } from "../../store/links.ts";
import { linkToProto } from "../../wire/link.ts";
import { timestampFromMs } from "../../wire/time.ts";
import { OUTPUT_ONLY } from "../field-mask.ts";
import { type FieldChange, messageDiff } from "../message-diff.ts";
import { found } from "../resource-path.ts";
import { linkOf } from "./convert.ts";

/** A link as far as its content goes. */
type Version = Pick<LinkRow, "project" | "id" | "spec">;

/** Writes down the version just written, with who wrote it and why. @param before undefined = it is the first */
export async function recordRevision(
  tx: Tx,
  row: LinkRow,
  before: Version | undefined,
  { actor, action, details }: AuditEvent,
): Promise<void> {
  const { project, id, version, spec, updateTime } = row;
  const changedFields = before === undefined ? [] : versionDiff(before, row).map(({ path }) => path);
  const origin = { actor, action, reason: details.reason ?? "" };
  await insertLinkRevision(tx, { project, link: id, version, spec, changedFields, ...origin, createTime: updateTime });
}

/** What differs between two versions, state included. */
export const versionDiff = (from: Version, to: Version): FieldChange[] =>
  messageDiff(LinkSchema, linkToProto(linkOf(from)), linkToProto(linkOf(to)), [...OUTPUT_ONLY, "conditions"]);

/** The version with this number. @throws ConduitError `resource_not_found` */
export async function revisionOf(
  reader: Reader,
  project: string,
  link: string,
  number: number,
): Promise<LinkRevisionRow> {
  return found(await getLinkRevision(reader, project, link, number));
}

/** Number of the newest version, of a deleted link too. @throws ConduitError `resource_not_found` */
export async function newestRevision(reader: Reader, project: string, link: string): Promise<number> {
  const [row] = await listLinkRevisions(reader, project, link, undefined, 1);
  return found(row).version;
}

/** Two versions beside each other: 0 = the newest, and the one before the other. */
export async function compareRevisions(
  reader: Reader,
  { project, id }: { project: string; id: string },
  fromRevision: number,
  toRevision: number,
): Promise<MessageInitShape<typeof CompareLinkRevisionsResponseSchema>> {
  const to = toRevision || (await newestRevision(reader, project, id));
  const from = fromRevision || to - 1;
  const [before, after] = [await revisionOf(reader, project, id, from), await revisionOf(reader, project, id, to)];
  const changes = versionDiff(versionOf(before), versionOf(after)).map(changeToProto);
  return { fromRevision: from, toRevision: to, changes };
}

export const versionOf = ({ project, link, spec }: LinkRevisionRow): Version => ({ project, id: link, spec });

export function revisionToProto(row: LinkRevisionRow): LinkRevision {
  const { project, link, version, changedFields, actor, action, reason, createTime } = row;
  return create(LinkRevisionSchema, {
    name: linkRevisionName(project, link, version),
    link: linkToProto(linkOf(versionOf(row))),
    changedFields: { paths: [...changedFields] },
    ...{ actor, action, reason },
    createTime: timestampFromMs(createTime.getTime()),
  });
}

export function changeToProto({ path, from, to }: FieldChange): FieldChangeMessage {
  const message = create(FieldChangeSchema, { path });
  if (from !== undefined) message.from = jsonValueOf(from);
  if (to !== undefined) message.to = jsonValueOf(to);
  return message;
}

const jsonValueOf = (json: JsonValue): Value => fromJson(ValueSchema, json);
