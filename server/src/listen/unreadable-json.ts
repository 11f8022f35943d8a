import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { ConduitError, invalidFields } from "../model/errors.ts";
import type { Random } from "../random.ts";
import type { Api } from "./api.ts";
import { sendPlain } from "./plain-route.ts";

/** Answers of ours carry it; what connect-node answers before it runs anything of ours does not. */
const REQUEST_ID_HEADER = "x-request-id";
/** Full name of the field that connect-node could not read. */
const FIELD = /cannot decode field [\w.]+\.(\w+\.\w+) from JSON/;
/** gRPC-Web in JSON carries its errors in a trailer frame that is not worth rewriting; nobody needs it beside Connect. */
const UNSERVED_TYPE = /^application\/grpc-web(?:-text)?\+json\b/i;

/**
 * Keeps what a client sent out of the errors it gets: connect-node's text about JSON it cannot read quotes the value,
 * which may be a secret that then stands in somebody's log.
 */
export function hideUnreadableJson(
  listener: RequestListener,
  describe: Api["describe"],
  random: Random,
): RequestListener {
  return (request, response) => {
    const type = request.headers["content-type"] ?? "";
    if (UNSERVED_TYPE.test(type)) {
      sendPlain(response, {
        status: 415,
        headers: { "Content-Type": "text/plain" },
        body: "Send binary gRPC-Web, or Connect.\n",
      });
      return;
    }
    if (/^application\/json\b/i.test(type))
      rewriteUnreadable(request, response, (text) => rewritten(text, describe, random));
    listener(request, response);
  };
}

interface Rewritten {
  readonly requestId: string;
  readonly json: string;
}

function rewritten(libraryText: string, describe: Api["describe"], random: Random): Rewritten {
  const requestId = random.uuid();
  return { requestId, json: JSON.stringify(errorToJson(describe(unreadable(libraryText), requestId), undefined)) };
}

function rewriteUnreadable(
  request: IncomingMessage,
  response: ServerResponse,
  rewrite: (libraryText: string) => Rewritten,
): void {
  const writeHead = response.writeHead.bind(response) as (...args: readonly unknown[]) => ServerResponse;
  const end = response.end.bind(response);
  const held = (status: number, headers: object = {}): ServerResponse => {
    const isOurs = status !== 400 || request.method !== "POST" || REQUEST_ID_HEADER in headers;
    if (isOurs) return writeHead(status, headers);
    const chunks: Uint8Array[] = [];
    // connect-node writes the head once more when it finds it unsent.
    response.writeHead = () => response;
    response.write = ((chunk: Uint8Array) => chunks.push(chunk) > 0) as typeof response.write;
    response.end = ((chunk?: unknown) => {
      if (chunk instanceof Uint8Array) chunks.push(chunk);
      const { json, requestId } = rewrite(Buffer.concat(chunks).toString("utf8"));
      const length = Buffer.byteLength(json);
      writeHead(400, {
        "Content-Type": "application/json",
        "Content-Length": length,
        [REQUEST_ID_HEADER]: requestId,
      });
      return end(json);
    }) as typeof response.end;
    return response;
  };
  response.writeHead = held as typeof response.writeHead;
}

/** The same error without the value: the field's name where there is one. */
function unreadable(libraryText: string): ConduitError {
  const field = FIELD.exec(libraryText)?.[1];
  if (field !== undefined) return invalidFields([{ field, description: "not JSON of the field's type" }]);
  return new ConduitError("field_invalid", { detail: "The body is not JSON of the method's request" });
}
