// A subscriber over gRPC that does what a proxy does with the stream: resumes, checks every digest, and comes back, to whichever
// replica answers.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Delta,
  type Hello,
  Hello_SnapshotReason,
  type ResourceChange,
  type SnapshotChunk,
  type WatchConfigRequest,
  WatchConfigRequestSchema,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { Client, type ClientReadableStream, credentials, Metadata } from "@grpc/grpc-js";
import { EMPTY_DIGEST, isSameDigest, resourceDigest, xorDigest } from "../../server/src/model/config-digest.ts";
import { kindFromProto } from "../../server/src/wire/config.ts";

const PATH = "/conduit.v1.ConfigService/WatchConfig";
const COME_BACK_MS = 200;

const nameOf = (reason: Hello_SnapshotReason): string =>
  Object.entries(Hello_SnapshotReason).find(([, value]) => value === reason)?.[0] ?? "?";

export class StreamReader {
  epoch = "";
  sequence = 0n;
  digest: Uint8Array = EMPTY_DIGEST;
  /** Why each stream began with a snapshot, in order; `UNSPECIFIED` = it resumed. */
  readonly hellos: string[] = [];
  /** Whatever must not happen: a hole, a digest that is another. */
  readonly problems: string[] = [];
  /** Called after each delta. */
  onDelta: (delta: Delta) => void = () => {};
  readonly #addresses: readonly string[];
  readonly #credential: string;
  readonly #held = new Map<string, { readonly version: bigint; readonly digest: Uint8Array }>();
  #chunks: SnapshotChunk[] = [];
  #hello: Hello | undefined;
  #at: number;
  #client: Client | undefined;
  #stream: ClientReadableStream<Buffer> | undefined;
  #isClosed = false;

  /** @param first index of the address to begin with */
  constructor(addresses: readonly string[], credential: string, first: number) {
    this.#addresses = addresses;
    this.#credential = credential;
    this.#at = first;
    this.#connect();
  }

  /** Stops reading: bytes stay in the sockets. */
  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  close(): void {
    this.#isClosed = true;
    this.#stream?.cancel();
    this.#client?.close();
  }

  #connect(): void {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${this.#credential}`);
    const address = this.#addresses[this.#at % this.#addresses.length] ?? "";
    this.#client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    const { epoch, sequence, digest: stateDigest } = this;
    const request = create(
      WatchConfigRequestSchema,
      epoch === "" ? {} : { resumeFrom: { epoch, sequence, stateDigest } },
    );
    const encode = (value: WatchConfigRequest) => Buffer.from(toBinary(WatchConfigRequestSchema, value));
    const pass = (bytes: Buffer): Buffer => bytes;
    const stream = this.#client.makeServerStreamRequest(PATH, encode, pass, request, metadata);
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => this.#receive(stream, bytes));
    stream.once("error", () => {});
    stream.once("close", () => this.#comeBack());
    stream.once("end", () => this.#comeBack());
  }

  #comeBack(): void {
    if (this.#isClosed || this.#stream === undefined) return;
    this.#stream = undefined;
    this.#client?.close();
    this.#at += 1;
    setTimeout(() => this.#isClosed || this.#connect(), COME_BACK_MS * (1 + Math.random()));
  }

  #receive(stream: ClientReadableStream<Buffer>, bytes: Buffer): void {
    const { event } = fromBinary(WatchConfigResponseSchema, bytes);
    const before = this.problems.length;
    if (event.case === "hello") {
      this.#hello = event.value;
      this.hellos.push(nameOf(event.value.snapshotReason));
      this.#chunks = [];
    }
    if (event.case === "snapshot") this.#snapshot(event.value);
    if (event.case === "delta") this.#delta(event.value);
    if (event.case === "heartbeat" && event.value.headSequence === this.sequence) this.#check(event.value.stateDigest);
    if (this.problems.length > before) stream.cancel();
  }

  #snapshot(chunk: SnapshotChunk): void {
    if (chunk.index !== this.#chunks.length) this.problems.push("a chunk is missing");
    this.#chunks.push(chunk);
    if (!chunk.last) return;
    const resources = this.#chunks.flatMap((it) => it.resources);
    if (BigInt(resources.length) !== chunk.totalResources) this.problems.push("the snapshot is not whole");
    this.#held.clear();
    this.digest = EMPTY_DIGEST;
    for (const resource of resources) this.#change(resource);
    this.#arrive(chunk.sequence, chunk.stateDigest);
  }

  #delta(delta: Delta): void {
    if (delta.fromSequence !== this.sequence) this.problems.push(`a change is missing after ${this.sequence}`);
    for (const change of delta.changes) this.#change(change);
    this.#arrive(delta.toSequence, delta.stateDigest);
    this.onDelta(delta);
  }

  #change({ kind: protoKind, name, version, change }: ResourceChange): void {
    const kind = kindFromProto(protoKind);
    if (kind === undefined) return;
    const key = `${kind} ${name}`;
    const held = this.#held.get(key);
    if (held !== undefined && held.version >= version) this.problems.push("a version does not grow");
    if (held !== undefined) this.digest = xorDigest(this.digest, held.digest);
    if (change.case !== "upsert") this.#held.delete(key);
    else {
      const digest = resourceDigest({ kind, name, version, payload: change.value });
      this.#held.set(key, { version, digest });
      this.digest = xorDigest(this.digest, digest);
    }
  }

  #arrive(sequence: bigint, said: Uint8Array): void {
    this.epoch = this.#hello?.epoch ?? "";
    this.sequence = sequence;
    this.#check(said);
  }

  #check(said: Uint8Array): void {
    if (!isSameDigest(said, this.digest)) this.problems.push(`the digest at ${this.sequence} is another`);
  }
}
