// Every method there is, with its row in the table of permissions: for tests that must not forget one.
import { globSync } from "node:fs";
import { join } from "node:path";
import { create, type DescMethod, type DescService, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { methodId } from "../../server/src/control/access.ts";
import { type Access, PERMISSIONS } from "../../server/src/control/permissions.ts";

const GEN = join(import.meta.dirname, "../../proto/gen");

/** Every service in the generated code, found by looking: a new one cannot be forgotten here. */
const services: DescService[] = [];
for (const path of globSync("**/*_pb.ts", { cwd: GEN })) {
  const module: Record<string, unknown> = await import(join(GEN, path));
  for (const value of Object.values(module)) if (isService(value)) services.push(value);
}

export const methods: readonly DescMethod[] = services.flatMap((service) => service.methods);

/** `package.Service/Method`, the method, and its row if it has one. */
export const rows = methods.map((method) => [methodId(method), method, PERMISSIONS[methodId(method)]] as const);

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && (value as { kind?: unknown }).kind === "service";
}

/** A request that names a project, if the method's row says where; otherwise empty. */
export function requestFor(method: DescMethod, row: Access | undefined, project: string): Message {
  const message = create(method.input);
  if (row?.by === "api_key" && row.project !== undefined) setText(method.input, message, row.project, project);
  return message;
}

function setText(desc: DescMethod["input"], message: Message, path: string, text: string): void {
  const [name, ...rest] = path.split(".");
  const field = desc.fields.find((one) => one.name === name);
  if (field === undefined) throw new Error(`${desc.typeName} has no ${name}`);
  const value = reflect(desc, message);
  if (field.fieldKind === "message") {
    const inner = create(field.message);
    setText(field.message, inner, rest.join("."), text);
    value.set(field, reflect(field.message, inner));
  } else value.set(field, text);
}
