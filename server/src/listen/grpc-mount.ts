import { once } from "node:events";
import { type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createHandlerContext,
  createServiceImplSpec,
  type HandlerContext,
  type Interceptor,
  type MethodImplSpec,
} from "@connectrpc/connect";
import {
  createAsyncIterable,
  invokeUnaryImplementation,
  transformInvokeImplementation,
} from "@connectrpc/connect/protocol";
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type MethodDefinition,
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import type { Clock } from "../clock.ts";
import { encodingOf } from "../model/encoded-message.ts";
import type { Api, ServiceMount } from "./api.ts";
import { toHeaders, toMetadata, toStatus } from "./grpc-metadata.ts";
import { errorAfterCredential } from "./unknown-method.ts";

export interface GrpcMountOptions {
  readonly clock: Clock;
  /** Outermost first. */
  readonly interceptors: readonly Interceptor[];
  readonly gate?: Api["gate"];
  readonly authenticate?: Api["authenticate"];
  readonly peerValues?: Api["peerValues"];
  readonly clientAddress?: Api["clientAddress"];
}

/** For failures while an outcome is being written down, as a header that HTTP/2 cannot carry. */
const INTERNAL_STATUS = { code: status.INTERNAL, details: "internal error" };

/** How long a stream waits for its reader before it gives up on it. */
const STALLED_READER_MS = 30_000;

type Unary = ServerUnaryCall<Buffer, Message>;
type Stream = ServerWritableStream<Buffer, Message>;
type Send = (message: Message, signal: AbortSignal) => Promise<void>;

/**
 * Adds the unary and server-streaming methods of a connect service to a grpc-js server. Requests stay bytes until the gate
 * has let the call in, so that a stranger's malformed message gets the same answer as a well-formed one.
 * @throws TypeError for a method that streams from the client: no service of ours has one
 */
export function mountOnGrpc(server: Server, mount: ServiceMount, options: GrpcMountOptions): void {
  const { methods } = createServiceImplSpec(mount.service, mount.implementation);
  const definitions: Record<string, MethodDefinition<Buffer, Message>> = {};
  const handlers: Record<string, handleUnaryCall<Buffer, Message> | handleServerStreamingCall<Buffer, Message>> = {};
  for (const spec of Object.values(methods)) {
    const { name } = spec.method;
    definitions[name] = definitionOf(spec.method);
    handlers[name] = handlerOf(spec, options);
  }
  server.addService(definitions, handlers);
}

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const definitionOf = (method: DescMethod): MethodDefinition<Buffer, Message> => ({
  path: `/${method.parent.typeName}/${method.name}`,
  requestStream: false,
  responseStream: method.methodKind === "server_streaming",
  requestSerialize: (bytes) => bytes,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: (message) => viewOf(encodingOf(message) ?? toBinary(method.output, message)),
  responseDeserialize: (bytes) => fromBinary(method.output, bytes),
});

function handlerOf(
  spec: MethodImplSpec,
  options: GrpcMountOptions,
): handleUnaryCall<Buffer, Message> | handleServerStreamingCall<Buffer, Message> {
  if (spec.kind === "unary") return unaryHandler(spec, options);
  if (spec.kind === "server_streaming") return streamHandler(spec, options);
  throw new TypeError(`${spec.method.name}: ${spec.kind} methods cannot be mounted`);
}

function unaryHandler(spec: MethodImplSpec, options: GrpcMountOptions): handleUnaryCall<Buffer, Message> {
  return (call, callback) => {
    let answer: Message | null = null;
    const keep: Send = async (message) => {
      answer = message;
    };
    run(spec, options, call, keep).then(
      (outcome) => ("error" in outcome ? callback(outcome.error) : callback(null, answer, outcome.trailer)),
      () => callback(INTERNAL_STATUS),
    );
  };
}

function streamHandler(spec: MethodImplSpec, options: GrpcMountOptions): handleServerStreamingCall<Buffer, Message> {
  return (call) => {
    const write: Send = async (message, signal) => {
      if (!call.write(message)) await drained(call, signal);
    };
    run(spec, options, call, write).then(
      (outcome) => ("error" in outcome ? call.emit("error", outcome.error) : call.end(outcome.trailer)),
      () => call.emit("error", INTERNAL_STATUS),
    );
  };
}

/** grpc-js buffers without bound, so wait; a reader that does not read must not keep a stream for ever. */
async function drained(call: Stream, signal: AbortSignal): Promise<void> {
  const stalled = AbortSignal.timeout(STALLED_READER_MS);
  try {
    await once(call, "drain", { signal: AbortSignal.any([signal, stalled]) });
  } catch (cause) {
    if (stalled.aborted) throw new ConnectError("the reader is too slow", Code.ResourceExhausted);
    throw cause;
  }
}

type Outcome = { readonly error: StatusObject } | { readonly trailer: Metadata };

/** One call: gate, decode, interceptors, implementation; gives each answer to `send`. */
async function run(
  spec: MethodImplSpec,
  options: GrpcMountOptions,
  call: Unary | Stream,
  send: Send,
): Promise<Outcome> {
  const clientGone = new AbortController();
  const onCancelled = (): void => clientGone.abort(new ConnectError("the client went away", Code.Canceled));
  call.once("cancelled", onCancelled);
  const context = contextOf(spec.method, call, options, clientGone.signal);
  try {
    await options.gate?.(context);
    const request = await decode(spec.method, call.request, context.requestHeader, options.authenticate);
    let isHeaderSent = false;
    for await (const message of await answersOf(spec, context, request, [...options.interceptors])) {
      context.signal.throwIfAborted();
      if (!isHeaderSent) call.sendMetadata(toMetadata(context.responseHeader));
      isHeaderSent = true;
      await send(message, context.signal);
    }
    if (!isHeaderSent) call.sendMetadata(toMetadata(context.responseHeader));
    return { trailer: toMetadata(context.responseTrailer) };
  } catch (cause) {
    return { error: toStatus(errorOf(cause, context.signal), context.responseTrailer) };
  } finally {
    // grpc-js calls every ended call cancelled too.
    call.removeListener("cancelled", onCancelled);
    context.abort(CALL_ENDED);
  }
}

/** What stops listeners that outlive their call; made once, since an error costs its stack. */
const CALL_ENDED = new ConnectError("the call has ended", Code.Canceled);

/** The iterables in which connect hands over messages cost a unary call as much as the rest of it. */
async function answersOf(
  spec: MethodImplSpec,
  context: HandlerContext,
  request: Message,
  interceptors: Interceptor[],
): Promise<readonly Message[] | AsyncIterable<Message>> {
  if (spec.kind === "unary") return [await invokeUnaryImplementation(spec, context, request, interceptors)];
  return transformInvokeImplementation(spec, context, interceptors)(createAsyncIterable([request]));
}

function contextOf(
  method: DescMethod,
  call: Unary | Stream,
  { clock, peerValues, clientAddress = peerItself }: GrpcMountOptions,
  requestSignal: AbortSignal,
): HandlerContext & { abort(reason?: unknown): void } {
  const deadlineMs = Number(call.getDeadline());
  return createHandlerContext({
    service: method.parent,
    method,
    protocolName: "grpc",
    requestMethod: "POST",
    url: `http://${call.getHost()}${call.getPath()}`,
    ...(Number.isFinite(deadlineMs) && { timeoutMs: Math.max(0, deadlineMs - clock.now()) }),
    requestSignal,
    requestHeader: toHeaders(call.metadata),
    ...(peerValues !== undefined && {
      contextValues: peerValues(clientAddress(hostOf(call.getPeer()), forwardedFor(call))),
    }),
  });
}

const peerItself = (address: string): string => address;

const forwardedFor = (call: Unary | Stream): string[] =>
  call.metadata.get("x-forwarded-for").filter((value) => typeof value === "string");

/** Address in `192.0.2.1:1234` or `[2001:db8::1]:1234`, as grpc-js names peers. */
const hostOf = (peer: string): string => peer.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");

/** A malformed message is told to callers with a credential only, as everything else. */
async function decode(
  method: DescMethod,
  bytes: Buffer,
  header: Headers,
  authenticate: Api["authenticate"],
): Promise<Message> {
  try {
    return fromBinary(method.input, bytes);
  } catch {
    const malformed = new ConnectError(`the request is not a ${method.input.typeName}`, Code.InvalidArgument);
    throw await errorAfterCredential(header, authenticate, malformed);
  }
}

function errorOf(cause: unknown, signal: AbortSignal): ConnectError {
  if (cause instanceof ConnectError) return cause;
  if (signal.aborted && signal.reason instanceof ConnectError) return signal.reason;
  return new ConnectError("internal error", Code.Internal);
}
