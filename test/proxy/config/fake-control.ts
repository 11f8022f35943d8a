// A control plane of the test's choice on a real gRPC port: the frames are the real ones, their order is the test's.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConfigService,
  type ReportConfigStatusRequest,
  ReportConfigStatusRequestSchema,
  ReportConfigStatusResponseSchema,
  type ReportUsageRequest,
  ReportUsageRequestSchema,
  ReportUsageResponseSchema,
  type WatchConfigRequest,
  WatchConfigRequestSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { type Metadata, Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import { encodeDelta, encodeHello, encodeSnapshotChunk } from "../../../server/src/config-log/frames.ts";
import { EMPTY_DIGEST, type EncodedResource, stateDigest } from "../../../server/src/model/config-digest.ts";
import type { ConfigResource } from "../../../server/src/model/config-resource.ts";
import { SecretText } from "../../../server/src/model/secret-text.ts";
import { systemRandom } from "../../../server/src/random.ts";
import { sealForFleet } from "../../../server/src/sealing/fleet-key.ts";
import { keyBytes, sealingKey } from "../../../server/src/sealing/sealing-key.ts";
import { encodeConfigResource } from "../../../server/src/wire/config.ts";
import { HIDDEN_KEY, HMAC_SECRET, INSTALLATION_ID, ISSUER, type LinkChanges, linkOf, linkTokenOf } from "../harness.ts";

const FLEET_KEY = sealingKey(Buffer.alloc(32, 7));
export const CREDENTIAL = new SecretText("cl_prx_0123456789abcdefghijkl_000000");

type Call = ServerWritableStream<WatchConfigRequest, Uint8Array>;

export interface FakeControl {
  readonly port: number;
  /** Every stream so far. */
  readonly watches: { readonly request: WatchConfigRequest; readonly metadata: Metadata; readonly call: Call }[];
  readonly statuses: ReportConfigStatusRequest[];
  readonly usage: ReportUsageRequest[];
  /** Ends the server and all streams. */
  stop(): void;
}

/** `onWatch` is called for each new stream. */
export async function startFakeControl(onWatch: (call: Call, index: number) => void, port = 0): Promise<FakeControl> {
  const watches: FakeControl["watches"] = [];
  const statuses: ReportConfigStatusRequest[] = [];
  const usage: ReportUsageRequest[] = [];
  const server = new Server();
  const identity = (bytes: Uint8Array) => Buffer.from(bytes);
  const path = (name: string) => `/${ConfigService.typeName}/${name}`;
  server.register(
    path("WatchConfig"),
    (call: Call) => {
      watches.push({ request: call.request, metadata: call.metadata, call });
      call.on("error", () => undefined);
      onWatch(call, watches.length - 1);
    },
    identity,
    (bytes: Buffer) => fromBinary(WatchConfigRequestSchema, bytes),
    "serverStream",
  );
  server.register(
    path("ReportConfigStatus"),
    (call: { request: ReportConfigStatusRequest }, done: (cause: null, value: object) => void) => {
      statuses.push(call.request);
      done(null, {});
    },
    () => Buffer.from(toBinary(ReportConfigStatusResponseSchema, create(ReportConfigStatusResponseSchema))),
    (bytes: Buffer) => fromBinary(ReportConfigStatusRequestSchema, bytes),
    "unary",
  );
  server.register(
    path("ReportUsage"),
    (call: { request: ReportUsageRequest }, done: (cause: null, value: object) => void) => {
      usage.push(call.request);
      done(null, {});
    },
    () => Buffer.from(toBinary(ReportUsageResponseSchema, create(ReportUsageResponseSchema))),
    (bytes: Buffer) => fromBinary(ReportUsageRequestSchema, bytes),
    "unary",
  );
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (cause, it) =>
      cause ? reject(cause) : resolve(it),
    );
  });
  const stop = () => server.forceShutdown();
  onTestFinished(stop);
  return { port: bound, watches, statuses, usage, stop };
}

/** A history of configurations, as the control plane's log holds it. */
export class FakeLog {
  readonly epoch: string;
  sequence = 0n;
  readonly #held = new Map<string, EncodedResource>();

  constructor(epoch = "epoch-1") {
    this.epoch = epoch;
  }

  get digest(): Uint8Array {
    return this.#held.size === 0 ? EMPTY_DIGEST : stateDigest(this.#held.values());
  }

  get resources(): EncodedResource[] {
    return [...this.#held.values()];
  }

  /** Adds one transaction and returns its frame. */
  commit(
    ...changes: (
      | ConfigResource
      | { readonly kind: ConfigResource["kind"]; readonly name: string; readonly gone: true }
    )[]
  ): Uint8Array {
    this.sequence += 1n;
    const entries = changes.map((change) => {
      const { kind, name } = change;
      const version = this.sequence;
      if ("gone" in change) {
        this.#held.delete(`${kind} ${name}`);
        return { kind, name, version, payload: undefined };
      }
      const resource = { kind, name, version, payload: encodeConfigResource(change) };
      this.#held.set(`${kind} ${name}`, resource);
      return resource;
    });
    return encodeDelta({ sequence: this.sequence, digest: this.digest, commitTime: new Date(0), entries });
  }

  /** Goes on as if transactions had been committed that nobody sees. */
  skip(count: bigint): void {
    this.sequence += count;
  }

  hello(snapshot: boolean, heartbeatIntervalMs = 10_000, key = FLEET_KEY): Uint8Array {
    return encodeHello({
      ...{ epoch: this.epoch, headSequence: this.sequence, heartbeatIntervalMs, nowMs: 0 },
      ...{ fleetKey: keyBytes(key), installationId: INSTALLATION_ID, proxy: "proxies/p1" },
      snapshotReason: snapshot ? "cold_start" : undefined,
    });
  }

  /** The whole state, in chunks of one resource. */
  snapshot(): Uint8Array[] {
    const all = this.resources;
    const parts = all.length === 0 ? [[]] : all.map((resource) => [resource]);
    return parts.map((resources, index) =>
      encodeSnapshotChunk({
        ...{ sequence: this.sequence, index, last: index === parts.length - 1, totalResources: BigInt(all.length) },
        countedResources: BigInt(all.length),
        ...{ resources, stateDigest: this.digest },
      }),
    );
  }
}

/** @param key of the fleet; default: the one that `hello` hands out */
export const sealedSecret = (id: string, text: string, key = FLEET_KEY): ConfigResource => {
  const name = `projects/demo/secrets/${id}`;
  const sealedValue = sealForFleet(key, new SecretText(text), { resource: name, value: "value" }, systemRandom);
  return { kind: "secret", name, sealedValue };
};

/** The demo link with all it needs. @param key as of `sealedSecret` */
export function demoResources(baseUrl: string, changes: LinkChanges = {}, key = FLEET_KEY): ConfigResource[] {
  const link = linkOf(baseUrl, changes);
  const linkToken = linkTokenOf();
  return [
    sealedSecret("key", HIDDEN_KEY, key),
    sealedSecret("hmac", HMAC_SECRET, key),
    { kind: "issuer", name: ISSUER.name, issuer: ISSUER },
    { kind: "link_token", name: linkToken.name, linkToken },
    { kind: "link", name: link.name, link },
  ];
}

export const fleetKey = FLEET_KEY;
