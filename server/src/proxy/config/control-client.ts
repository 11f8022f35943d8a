import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  ConfigService,
  type ReportConfigStatusRequestSchema,
  type ReportUsageRequestSchema,
  type WatchConfigRequestSchema,
  type WatchConfigResponse,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { type JoinProxyResponse, ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { Clock } from "../../clock.ts";
import { type HostPort, urlHost } from "../../model/address.ts";
import type { SecretText } from "../../model/secret-text.ts";

/** How the control plane is reached. */
export interface ControlAddress {
  readonly address: HostPort;
  /** Undefined = cleartext: loopback, or the operator's word (`--insecure-control`). `ca`: PEM; default: the system's. */
  readonly tls: { readonly ca?: string } | undefined;
}

/** An open stream. */
export interface ConfigStream {
  /** Ends it; `onEnd` is not called any more. */
  cancel(): void;
}

export interface StreamListener {
  /** The next event comes when the promise is done. */
  onEvent(event: WatchConfigResponse): void | Promise<void>;
  /** Size of each event, before `onEvent`. */
  onBytes(count: number): void;
  /** The stream is over; once. */
  onEnd(cause: Error): void;
}

/** One control plane replica as its proxies see it. */
export interface ControlClient {
  watch(request: MessageInitShape<typeof WatchConfigRequestSchema>, listener: StreamListener): ConfigStream;
  /** Resolves with whether the credential should be replaced. */
  reportStatus(request: MessageInitShape<typeof ReportConfigStatusRequestSchema>): Promise<boolean>;
  /** @param credentialSha256 of the next credential */
  rotateCredential(credentialSha256: Uint8Array): Promise<void>;
  reportUsage(request: MessageInitShape<typeof ReportUsageRequestSchema>): Promise<void>;
  /** Needs no credential but the join token. */
  joinProxy(joinToken: string): Promise<JoinProxyResponse>;
  close(): void;
}

/** A frame holds at most 1 MiB of resources; a single large one may exceed that. */
const FRAME_MAX_BYTES = 16 * 1024 * 1024;
const UNARY_DEADLINE_MS = 10_000;

const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": FRAME_MAX_BYTES,
  // A connection that died without a word is noticed by these pings; a stream that died, by the missing heartbeats.
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // Reconnecting is the subscriber's, with its own jitter.
  "grpc.initial_reconnect_backoff_ms": 500,
  "grpc.max_reconnect_backoff_ms": 5_000,
};

/** @param credential the proxy's at the moment of each call; undefined only to join */
export function createControlClient(
  control: ControlAddress,
  credential: () => SecretText | undefined,
  clock: Clock,
): ControlClient {
  const { address, tls } = control;
  const channel =
    tls === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(tls.ca === undefined ? null : Buffer.from(tls.ca));
  const client = new Client(`${urlHost(address.host)}:${address.port}`, channel, CHANNEL_OPTIONS);

  function metadata(): Metadata {
    const headers = new Metadata();
    const shown = credential();
    if (shown !== undefined) headers.set("authorization", `Bearer ${shown.reveal()}`);
    return headers;
  }

  function unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const deadline = { deadline: clock.now() + UNARY_DEADLINE_MS };
    return new Promise((resolve, reject) => {
      const done = (cause: ServiceError | null, value?: MessageShape<O>) =>
        cause === null ? resolve(value as MessageShape<O>) : reject(cause);
      client.makeUnaryRequest(
        pathOf(method),
        encoder(method.input),
        decoder(method.output),
        create(method.input, request),
        metadata(),
        deadline,
        done,
      );
    });
  }

  return {
    watch(request, listener) {
      const { watchConfig } = ConfigService.method;
      const message = create(watchConfig.input, request);
      const call = client.makeServerStreamRequest(
        pathOf(watchConfig),
        encoder(watchConfig.input),
        (bytes) => {
          listener.onBytes(bytes.length);
          return decoder(watchConfig.output)(bytes);
        },
        message,
        metadata(),
      );
      let isOver = false;
      const end = (cause: Error) => {
        if (isOver) return;
        isOver = true;
        listener.onEnd(cause);
      };
      call.on("data", (event: WatchConfigResponse) => {
        const applying = isOver ? undefined : listener.onEvent(event);
        if (applying === undefined) return;
        call.pause();
        void applying.finally(() => call.resume());
      });
      call.on("error", end);
      call.on("end", () => end(new Error("the control plane ended the stream")));
      return {
        cancel() {
          isOver = true;
          call.cancel();
        },
      };
    },
    async reportStatus(request) {
      return (await unary(ConfigService.method.reportConfigStatus, request)).rotateCredential;
    },
    async rotateCredential(credentialSha256) {
      await unary(ConfigService.method.rotateCredential, { credentialSha256 });
    },
    async reportUsage(request) {
      await unary(ConfigService.method.reportUsage, request);
    },
    joinProxy: (joinToken) => unary(ProxyService.method.joinProxy, { joinToken }),
    close: () => client.close(),
  };
}

const pathOf = (method: DescMethod): string => `/${method.parent.typeName}/${method.name}`;

const encoder =
  <D extends DescMessage>(schema: D) =>
  (message: MessageShape<D>): Buffer =>
    Buffer.from(toBinary(schema, message));

const decoder =
  <D extends DescMessage>(schema: D) =>
  (bytes: Buffer): MessageShape<D> =>
    fromBinary(schema, bytes);
