import { BinaryReader } from "@bufbuild/protobuf/wire";
import { LinkConfigSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { InjectionSchema, LinkSchema } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ConduitError } from "../model/errors.ts";

/** What a link's payload says of the link's name and of what it works with. */
export interface LinkOutline {
  readonly name: string;
  readonly issuers: readonly string[];
  /** Of its injections. */
  readonly secrets: readonly string[];
  readonly identityAssertion: boolean;
}

const LINK = LinkConfigSchema.field.link.number;
const { name: NAME, issuers: ISSUERS, injections: INJECTIONS, identityAssertion: ASSERTION } = LinkSchema.field;
const SECRET = InjectionSchema.field.secret.number;

/**
 * Reads a payload's outline and skips the rest: a fifth of what decoding it costs, which counts for a hundred thousand links
 * at a cold start. Nothing else of it is checked: `decodeConfigResource` may refuse the same bytes.
 * @throws ConduitError `field_invalid` when the bytes are no message
 */
export function readLinkOutline(payload: Uint8Array): LinkOutline {
  const outline = { name: "", issuers: [] as string[], secrets: [] as string[], identityAssertion: false };
  try {
    eachField(new BinaryReader(payload), payload.length, (config, number) => {
      if (number !== LINK) return false;
      eachField(config, endOf(config), (link, part) => readPart(link, part, outline));
      return true;
    });
  } catch (cause) {
    throw new ConduitError("field_invalid", { detail: "not the payload of a link", cause });
  }
  return outline;
}

type Draft = { name: string; issuers: string[]; secrets: string[]; identityAssertion: boolean };

/** Whether the field is of the outline, and read. */
function readPart(reader: BinaryReader, number: number, into: Draft): boolean {
  switch (number) {
    case NAME.number:
      into.name = reader.string();
      return true;
    case ISSUERS.number:
      into.issuers.push(reader.string());
      return true;
    case INJECTIONS.number:
      into.secrets.push(readSecret(reader));
      return true;
    case ASSERTION.number:
      into.identityAssertion = reader.bool();
      return true;
    default:
      return false;
  }
}

function readSecret(reader: BinaryReader): string {
  let secret = "";
  eachField(reader, endOf(reader), (injection, number) => {
    if (number !== SECRET) return false;
    secret = injection.string();
    return true;
  });
  return secret;
}

/** Position after a length-delimited field, whose content comes next. */
function endOf(reader: BinaryReader): number {
  const length = reader.uint32();
  return reader.pos + length;
}

/** Fields up to a position; those that `read` does not take are skipped. */
function eachField(reader: BinaryReader, end: number, read: (reader: BinaryReader, number: number) => boolean): void {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (!read(reader, number)) reader.skip(wireType, number);
  }
}
