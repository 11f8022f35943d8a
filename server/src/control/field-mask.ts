import { clone, type DescField, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { invalidFields } from "../model/errors.ts";

/** What an update makes of a resource. */
export interface Masked<Desc extends DescMessage> {
  /** The current message with the masked fields taken from the wanted one. */
  readonly message: MessageShape<Desc>;
  /** Proto names of the top-level fields the update is about. */
  readonly touched: ReadonlySet<string>;
}

/** What a client may not change: written in a mask or a message it is ignored (AIP-203). */
export const OUTPUT_ONLY: readonly string[] = ["name", "etag", "create_time", "update_time"];

/**
 * Applies `update_mask` (AIP-134): absent or empty = the fields that are set in `wanted`, `*` = all, else the paths,
 * where `a.b` reaches into single messages.
 * @param outputOnly proto names of fields to leave as they are
 * @throws ConduitError `field_invalid` naming a path that is not a field
 */
export function applyMask<Desc extends DescMessage>(
  schema: Desc,
  current: MessageShape<Desc>,
  wanted: MessageShape<Desc>,
  mask: FieldMask | undefined,
  outputOnly: readonly string[] = OUTPUT_ONLY,
): Masked<Desc> {
  const message = clone(schema, current);
  const from = reflect(schema, wanted);
  const to = reflect(schema, message);
  const paths = (mask?.paths ?? []).length === 0 ? setPaths(from) : expand(from, mask?.paths ?? []);
  const touched = new Set<string>();
  for (const path of paths) {
    const [first] = path;
    if (first === undefined || outputOnly.includes(first.name)) continue;
    touched.add(first.name);
    copy(from, to, path);
  }
  return { message, touched };
}

type FieldPath = readonly DescField[];

/** `*` is every field; everything else must be the path of one. */
function expand(from: ReflectMessage, paths: readonly string[]): FieldPath[] {
  if (paths.includes("*")) return from.fields.map((field) => [field]);
  return paths.map((path) => {
    const found = resolve(from.desc, path.split("."));
    // The text of a path is the caller's: shown only when it looks like one.
    const shown = /^[A-Za-z0-9_.]{1,100}$/.test(path) ? ` "${path}"` : "";
    if (found === undefined)
      throw invalidFields([{ field: "update_mask", description: `${from.desc.name} has no field${shown}` }]);
    return found;
  });
}

function resolve(desc: DescMessage, names: readonly string[]): FieldPath | undefined {
  const [name, ...rest] = names;
  const field = desc.fields.find((one) => one.name === name);
  if (field === undefined) return undefined;
  if (rest.length === 0) return [field];
  const inner = isMergeable(field) ? resolve(field.message, rest) : undefined;
  return inner === undefined ? undefined : [field, ...inner];
}

/** The leaves that are set: a set single message counts by its own leaves, so that naming one does not reset the others. */
function setPaths(from: ReflectMessage): FieldPath[] {
  return from.fields.flatMap((field): FieldPath[] => {
    if (!from.isSet(field)) return [];
    if (!isMergeable(field)) return [[field]];
    return setPaths(from.get(field)).map((path) => [field, ...path]);
  });
}

type MergeableField = DescField & { fieldKind: "message" };

/** Single messages of ours outside a oneof; a Duration or a variant is replaced as a whole. */
function isMergeable(field: DescField): field is MergeableField {
  return (
    field.fieldKind === "message" && field.oneof === undefined && !field.message.typeName.startsWith("google.protobuf.")
  );
}

function copy(from: ReflectMessage, to: ReflectMessage, [field, ...rest]: FieldPath): void {
  if (field === undefined) return;
  if (rest.length > 0 && isMergeable(field)) {
    const inner = to.get(field);
    copy(from.get(field), inner, rest);
    to.set(field, inner);
  } else if (from.isSet(field)) to.set(field, from.get(field));
  // A member of a oneof that is not chosen says nothing about the chosen one, unless that one is being cleared.
  else to.clear(field);
}
