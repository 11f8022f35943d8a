// A gRPC client without any generated stub: bytes out, bytes in, status and metadata as they came.
import { type DescMethod, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";

export interface GrpcAnswer<Output> {
  /** Name of the status: `OK`, `UNAUTHENTICATED`, … */
  readonly status: string;
  readonly details: string;
  /** Undefined on failure. */
  readonly message: Output | undefined;
  readonly trailer: Metadata;
}

export interface RawGrpc extends Disposable {
  /** Calls a unary method; never rejects. `bytes` replaces the encoded request. */
  call<Method extends DescMethod>(
    method: Method,
    request: MessageShape<Method["input"]>,
    options?: CallOptions,
  ): Promise<GrpcAnswer<MessageShape<Method["output"]>>>;
  /** Calls a path with raw bytes. */
  callPath(path: string, bytes: Uint8Array, options?: CallOptions): Promise<GrpcAnswer<Uint8Array>>;
  readonly client: Client;
}

export interface CallOptions {
  readonly authorization?: string;
  /** Further metadata. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
}

/** Connects to `host:port`; cleartext unless told otherwise. */
export function rawGrpc(address: string, channel: ChannelCredentials = credentials.createInsecure()): RawGrpc {
  const client = new Client(address, channel);
  const callPath: RawGrpc["callPath"] = (path, bytes, options = {}) =>
    new Promise((resolve) => {
      const pass = (value: Buffer): Buffer => value;
      const deadline = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
      const done = (error: ServiceError | null, message?: Buffer): void =>
        resolve({
          status: status[error?.code ?? status.OK] ?? String(error?.code),
          details: error?.details ?? "",
          message,
          trailer: error?.metadata ?? new Metadata(),
        });
      client.makeUnaryRequest(path, pass, pass, Buffer.from(bytes), metadataOf(options), deadline, done);
    });
  return {
    client,
    callPath,
    async call(method, request, options) {
      const path = `/${method.parent.typeName}/${method.name}`;
      const answer = await callPath(path, toBinary(method.input, request), options);
      const message = answer.message === undefined ? undefined : fromBinary(method.output, answer.message);
      return { ...answer, message } as never;
    },
    [Symbol.dispose]: () => client.close(),
  };
}

export function metadataOf({ authorization, headers = {} }: CallOptions): Metadata {
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set("authorization", authorization);
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}
