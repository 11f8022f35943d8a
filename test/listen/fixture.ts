// An API of two services behind both listeners: MintToken, and WatchConfig with frames encoded beforehand.
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConfigService,
  HeartbeatSchema,
  type WatchConfigRequest,
  type WatchConfigResponse,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import {
  type MintTokenRequest,
  MintTokenResponseSchema,
  TokenService,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import { ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { Code, ConnectError, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { pino } from "pino";
import { toConnectError } from "../../server/src/control/error-mapping.ts";
import type { Api } from "../../server/src/listen/api.ts";
import { createHealth } from "../../server/src/listen/health.ts";
import { withEncoding } from "../../server/src/model/encoded-message.ts";
import { ConduitError } from "../../server/src/model/errors.ts";

export const GOOD = "Bearer good";
/** Together far more than sockets and HTTP/2 windows hold. */
export const FLOOD_MESSAGES = 2_000;
export const silentLog = pino({ level: "silent" });

export const heartbeat = (sequence: bigint): WatchConfigResponse =>
  create(WatchConfigResponseSchema, {
    event: { case: "heartbeat", value: create(HeartbeatSchema, { headSequence: sequence }) },
  });

/** An empty message with the wire form of a heartbeat: who reads the message instead of the bytes sees nothing. */
export const encodedHeartbeat = (sequence: bigint): WatchConfigResponse =>
  withEncoding(create(WatchConfigResponseSchema), toBinary(WatchConfigResponseSchema, heartbeat(sequence)));

/** Resolves when the signal aborts, as a service that waits does. */
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** What `subject` makes MintToken do. */
const MINT: Record<string, (request: MintTokenRequest, context: HandlerContext) => Promise<string>> = {
  fail: async () => {
    throw new ConnectError("no such link", Code.NotFound, { "x-extra": "1" }, [
      { desc: ErrorInfoSchema, value: { reason: "RESOURCE_NOT_FOUND", domain: "conduit.link" } },
    ]);
  },
  crash: async () => {
    throw new Error("password=hunter2");
  },
  // A little more than an answer may have.
  huge: async () => "x".repeat(4 * 1024 * 1024 + 1),
  wait: async (_request, { signal }) => {
    await aborted(signal);
    throw signal.reason;
  },
};

export interface ApiFixture {
  readonly api: Api;
  readonly health: ReturnType<typeof createHealth>;
  /** Subjects MintToken was called with. */
  readonly minted: string[];
  /** Streams whose generator has ended. */
  readonly endedStreams: unknown[];
  /** Large messages a stream with `instance_id` "flood" has handed over. */
  readonly flooded: number[];
  /** Lets every call of subject `hold` go. */
  release(): void;
}

export function apiFixture(): ApiFixture {
  const minted: string[] = [];
  const endedStreams: unknown[] = [];
  const flooded: number[] = [];
  const held = Promise.withResolvers<void>();
  const tokens = {
    async mintToken(request: MintTokenRequest, context: HandlerContext) {
      minted.push(request.subject);
      context.responseHeader.set("x-header", "h");
      context.responseTrailer.set("x-trailer", "t");
      if (request.subject === "hold") await held.promise;
      const accessToken = (await MINT[request.subject]?.(request, context)) ?? `token of ${request.subject}`;
      return create(MintTokenResponseSchema, { accessToken });
    },
  };
  const config = {
    async *watchConfig({ instanceId }: WatchConfigRequest, { signal }: HandlerContext) {
      for (let at = 0; instanceId === "flood" && at < FLOOD_MESSAGES; at += 1) {
        flooded.push(at);
        yield withEncoding(create(WatchConfigResponseSchema), new Uint8Array(64 * 1024));
      }
      try {
        yield encodedHeartbeat(1n);
        yield heartbeat(2n);
        await aborted(signal);
      } finally {
        endedStreams.push(signal.reason);
      }
    },
  };
  const authenticate = async (header: Headers) => {
    if (header.get("authorization") !== GOOD) throw new ConduitError("credential_invalid");
  };
  const gate: NonNullable<Api["gate"]> = async ({ service, requestHeader }) => {
    if (service.typeName.startsWith("grpc.health.")) return;
    await authenticate(requestHeader).catch(() => {
      throw new ConnectError("Send a current API key", Code.Unauthenticated);
    });
  };
  const services = [
    { service: TokenService, implementation: tokens },
    { service: ConfigService, implementation: config },
  ];
  return {
    api: { services, interceptors: [tellConduitErrors], gate, authenticate, describe: toConnectError },
    health: createHealth(services.map(({ service }) => service.typeName)),
    minted,
    endedStreams,
    flooded,
    release: held.resolve,
  };
}

/** Enough of the control plane's error interceptor for these tests. */
const tellConduitErrors: Interceptor = (next) => async (request) => {
  const tell = (cause: unknown): unknown =>
    cause instanceof ConduitError ? new ConnectError(cause.detail, CODES[cause.code] ?? Code.Internal) : cause;
  try {
    const response = await next(request);
    if (!response.stream) return response;
    const { message: messages } = response;
    const told = async function* () {
      try {
        yield* messages;
      } catch (cause) {
        throw tell(cause);
      }
    };
    return { ...response, message: told() };
  } catch (cause) {
    throw tell(cause);
  }
};
const CODES: Record<string, Code> = { deadline_exceeded: Code.DeadlineExceeded, not_ready: Code.Unavailable };
