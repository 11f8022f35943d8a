import { isDeepStrictEqual } from "node:util";
import { type DescMessage, type JsonObject, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";

/** One field that differs. */
export interface FieldChange {
  /** Proto path: `rules`, `upstream.base_url`. */
  readonly path: string;
  /** In JSON, by proto names; undefined = not set. */
  readonly from: JsonValue | undefined;
  readonly to: JsonValue | undefined;
}

/**
 * What differs between two messages, in the order of their fields' names. Single messages are compared field by field;
 * lists, oneofs' members and well-known types count as one value each.
 * @param ignored top-level fields that do not count, by proto name
 */
export function messageDiff<Desc extends DescMessage>(
  schema: Desc,
  from: MessageShape<Desc>,
  to: MessageShape<Desc>,
  ignored: readonly string[],
): FieldChange[] {
  const jsonOf = (message: MessageShape<Desc>): JsonObject => {
    const json = toJson(schema, message, { useProtoFieldName: true }) as JsonObject;
    return Object.fromEntries(Object.entries(json).filter(([name]) => !ignored.includes(name)));
  };
  return changesBetween(jsonOf(from), jsonOf(to), "");
}

function changesBetween(from: JsonObject, to: JsonObject, prefix: string): FieldChange[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
  return names.flatMap((name) => {
    const [before, after] = [from[name], to[name]];
    if (isDeepStrictEqual(before, after)) return [];
    const path = `${prefix}${name}`;
    const isSingle = isObject(before ?? {}) && isObject(after ?? {});
    return isSingle
      ? changesBetween((before ?? {}) as JsonObject, (after ?? {}) as JsonObject, `${path}.`)
      : [{ path, from: before, to: after }];
  });
}

const isObject = (value: JsonValue): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
