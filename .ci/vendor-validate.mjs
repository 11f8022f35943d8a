// Prints buf/validate/validate.proto from the descriptor inside @bufbuild/protovalidate, because buf's registry is not
// always reachable. Field options (the predefined CEL) are left out: the runtime has its own copy of them.
// `node .ci/vendor-validate.mjs` writes it where proto/buf.yaml looks for it.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FieldDescriptorProto_Label as Label, FieldDescriptorProto_Type as Type } from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate as file } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** One past the highest field number: `max` in a range. */
const FIELD_NUMBER_END = 536870912;

const block = (head, lines) => [`${head} {`, ...lines.flat().map((line) => `  ${line}`), "}"];
const isInOneof = (field) => Object.hasOwn(field, "oneofIndex");
const typeOf = (field) => field.typeName || Type[field.type].toLowerCase();

function printField(field) {
  const label = isInOneof(field) ? "" : `${Label[field.label].toLowerCase()} `;
  return `${label}${typeOf(field)} ${field.name} = ${field.number};`;
}

function printRange({ start, end }) {
  const last = end >= FIELD_NUMBER_END ? "max" : end - 1;
  return end - 1 > start ? `${start} to ${last}` : `${start}`;
}

function printEnum(it) {
  const reserved = it.reservedRange.map(
    ({ start, end }) => `reserved ${start === end ? start : `${start} to ${end}`};`,
  );
  return block(`enum ${it.name}`, [...reserved, ...it.value.map((value) => `${value.name} = ${value.number};`)]);
}

const printExtensions = (fields) =>
  [...new Set(fields.map((field) => field.extendee))].flatMap((extendee) => {
    const members = fields.filter((field) => field.extendee === extendee);
    return block(`extend ${extendee}`, members.map(printField));
  });

function printOneof(message, oneof, index) {
  const members = message.field.filter((field) => isInOneof(field) && field.oneofIndex === index);
  return block(`oneof ${oneof.name}`, members.map(printField));
}

function printMessage(message) {
  return block(`message ${message.name}`, [
    message.nestedType.flatMap(printMessage),
    message.enumType.flatMap(printEnum),
    message.field.filter((field) => !isInOneof(field)).map(printField),
    message.oneofDecl.flatMap((oneof, index) => printOneof(message, oneof, index)),
    message.reservedRange.map((range) => `reserved ${printRange(range)};`),
    message.reservedName.map((name) => `reserved "${name}";`),
    message.extensionRange.map((range) => `extensions ${printRange(range)};`),
    printExtensions(message.extension),
  ]);
}

/** Writes `buf/validate/validate.proto` under the given folder. */
export function vendorValidate(folder) {
  const { proto } = file;
  const lines = [
    `syntax = "${proto.syntax || "proto2"}";`,
    `package ${proto.package};`,
    ...proto.dependency.map((path) => `import "${path}";`),
    ...printExtensions(proto.extension),
    ...proto.messageType.flatMap(printMessage),
    ...proto.enumType.flatMap(printEnum),
  ];
  const target = join(folder, "buf/validate/validate.proto");
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, `${lines.join("\n")}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  vendorValidate(fileURLToPath(new URL("../proto/.vendor", import.meta.url)));
