import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  setLogVerbosity,
  status,
} from "@grpc/grpc-js";
import type { Clock } from "../clock.ts";
import { urlHost } from "../model/address.ts";
import { ANSWER_MAX_BYTES, type Api, REQUEST_MAX_BYTES } from "./api.ts";
import { callBounds, stoppingReason } from "./call-bounds.ts";
import { DRAIN_MS } from "./drain.ts";
import { toHeaders, toStatus } from "./grpc-metadata.ts";
import { mountOnGrpc } from "./grpc-mount.ts";
import type { HealthService } from "./health.ts";
import type { TlsMaterial } from "./http-listener.ts";
import { type BoundAddress, bindError, isWithoutIpv6, type Listener } from "./port.ts";
import { addReflection } from "./reflection.ts";
import { endUnfinishedRequests } from "./unfinished-request.ts";
import { errorAfterCredential, unknownMethod } from "./unknown-method.ts";

export interface GrpcListenerOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly api: Api;
  readonly health: HealthService;
  /** Whether anybody may ask which methods there are. */
  readonly reflection: boolean;
  /** Absent = cleartext HTTP/2: loopback only, or by the operator's word. */
  readonly tls?: TlsMaterial | undefined;
  readonly clock: Clock;
  /** How long a request may take to arrive. Default 60 s. */
  readonly requestMaxMs?: number;
}

/** Sizes and clocks of connections; a peer that is gone is found by pings. */
const SERVER_OPTIONS = {
  "grpc.max_receive_message_length": REQUEST_MAX_BYTES,
  "grpc.max_send_message_length": ANSWER_MAX_BYTES,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.max_concurrent_streams": 1_000,
} as const;

/** The gRPC port (HTTP/2, grpc-js). @throws ExitError (3) when it cannot bind */
export async function listenGrpc(options: GrpcListenerOptions): Promise<Listener> {
  const { api, health, clock } = options;
  const stopping = new AbortController();
  // It prints to stderr by itself, bind errors among others, which are thrown as well.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server(SERVER_OPTIONS);
  const interceptors = [...api.interceptors, callBounds({ stopping: stopping.signal })];
  const { gate, authenticate, peerValues, clientAddress } = api;
  const mounts = [...api.services, health.mount];
  const shared = { clock, interceptors, gate, authenticate };
  for (const mount of mounts) mountOnGrpc(server, mount, { ...shared, peerValues, clientAddress });
  if (options.reflection)
    addReflection(
      server,
      [...api.services, health.mount].map((mount) => mount.service),
    );
  refuseUnknownPaths(server, authenticate);
  const address = await bindGrpc(server, options);
  endUnfinishedRequests(server, options.requestMaxMs);
  return { address, drain: (graceMs) => drainGrpc(server, stopping, graceMs) };
}

function credentialsOf(tls: TlsMaterial | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  return ServerCredentials.createSsl(null, [pair], false);
}

async function bindGrpc(server: Server, { host, port, tls }: GrpcListenerOptions): Promise<BoundAddress> {
  const bindTo = (name: string): Promise<BoundAddress> =>
    new Promise((resolve, reject) => {
      server.bindAsync(`${urlHost(name)}:${port}`, credentialsOf(tls), (cause, bound) =>
        cause === null ? resolve({ host: name, port: bound }) : reject(cause),
      );
    });
  try {
    return await bindTo(host).catch((cause: unknown) => {
      if (host === "::" && isWithoutIpv6(cause)) return bindTo("0.0.0.0");
      throw cause;
    });
  } catch (cause) {
    server.forceShutdown();
    throw bindError({ host, port, flag: "grpc-port" }, cause);
  }
}

/** The table grpc-js looks a call's path up in. Not public: a test fails when an upgrade moves it. */
interface HandlerTable {
  handlers: Map<string, unknown>;
}

/**
 * grpc-js answers UNIMPLEMENTED to a path it does not know before anything of ours runs. Give such paths a method that
 * asks for a credential first: a stranger must not be able to list our methods by trying names (S21).
 */
function refuseUnknownPaths(server: Server, authenticate: Api["authenticate"]): void {
  const unknown = {
    // Called at once: as a unary method it would first wait for a request to end that a streaming client leaves open.
    type: "bidi",
    path: "",
    serialize: (bytes: Buffer) => bytes,
    deserialize: (bytes: Buffer) => bytes,
    func: (call: ServerDuplexStream<Buffer, Buffer>) => {
      errorAfterCredential(toHeaders(call.metadata), authenticate, unknownMethod()).then(
        (error) => call.emit("error", toStatus(error, new Headers())),
        () => call.emit("error", { code: status.INTERNAL, details: "internal error" }),
      );
    },
  };
  const table = server as unknown as HandlerTable;
  table.handlers = new (class extends Map<string, unknown> {
    override get(path: string): unknown {
      return super.get(path) ?? unknown;
    }
  })(table.handlers);
}

async function drainGrpc(server: Server, stopping: AbortController, graceMs = DRAIN_MS): Promise<void> {
  stopping.abort(stoppingReason());
  const end = setTimeout(() => server.forceShutdown(), graceMs);
  // Waits for calls in flight; an error means it was shut down already.
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  clearTimeout(end);
}
