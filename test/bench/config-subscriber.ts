// One simulated proxy: a connection and a stream of its own, every frame decoded and checked; nothing is compiled.
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Delta,
  type ResourceChange,
  type SnapshotChunk,
  WatchConfigRequestSchema,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { EMPTY_DIGEST, isSameDigest, resourceDigest, xorDigest } from "../../server/src/model/config-digest.ts";
import { kindFromProto } from "../../server/src/wire/config.ts";
import { sharedNowMs } from "./config-messages.ts";

const PATH = "/conduit.v1.ConfigService/WatchConfig";
/** Of a gRPC message: compressed or not, and its length. */
const PREFIX_BYTES = 5;

/** A frame that was applied: everything up to `sequence` is held from then on. */
export interface Arrival {
  readonly sequence: number;
  readonly atMs: number;
}

/** Node's own HTTP/2 client, which costs the machine less than a gRPC client: the server is what is measured. */
export class Subscriber {
  /** Frames applied since they were last taken away. */
  arrivals: Arrival[] = [];
  /** Whatever must not happen. */
  readonly problems: string[] = [];
  #epoch = "";
  #sequence = 0n;
  #digest: Uint8Array = EMPTY_DIGEST;
  readonly #held = new Map<string, Uint8Array>();
  #chunks: SnapshotChunk[] = [];
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #received: Buffer = Buffer.alloc(0);
  #whole: PromiseWithResolvers<void> = Promise.withResolvers();
  #isWhole = false;

  /** Resolves when it holds the state that the stream's Hello named. Rejects when the stream ends before: no problem yet. */
  open(port: number, credential: string): Promise<void> {
    this.#whole = Promise.withResolvers();
    this.#isWhole = false;
    this.#received = Buffer.alloc(0);
    this.#session = connect(`http://127.0.0.1:${port}`);
    this.#session.on("error", () => {});
    const stream = this.#session.request({
      ":method": "POST",
      ":path": PATH,
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${credential}`,
    });
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => this.#take(bytes));
    stream.on("trailers", (trailers) => this.#over(stream, `${trailers["grpc-status"]} ${trailers["grpc-message"]}`));
    stream.on("error", (cause) => this.#over(stream, String(cause)));
    stream.on("close", () => this.#over(stream, "the stream is closed"));
    stream.end(this.#request());
    return this.#whole.promise;
  }

  /** Cuts the connection and waits until it is gone. @param isForgetting whatever was held is forgotten */
  async cut(isForgetting: boolean): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#stream = undefined;
    if (isForgetting) {
      this.#epoch = "";
      this.#sequence = 0n;
      this.#digest = EMPTY_DIGEST;
      this.#held.clear();
    }
    if (session === undefined || session.destroyed) return;
    const closed = once(session, "close");
    session.destroy();
    await closed;
  }

  #over(stream: ClientHttp2Stream, why: string): void {
    // Cut by ourselves, and perhaps replaced.
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.#session?.destroy();
    if (this.#isWhole) this.problems.push(`a stream ended: ${why}`);
    this.#whole.reject(new Error(why));
  }

  #becomeWhole(): void {
    this.#isWhole = true;
    this.#whole.resolve();
  }

  #request(): Buffer {
    const resumeFrom = { epoch: this.#epoch, sequence: this.#sequence, stateDigest: this.#digest };
    const message = toBinary(
      WatchConfigRequestSchema,
      create(WatchConfigRequestSchema, this.#epoch === "" ? {} : { resumeFrom }),
    );
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(message.length, 1);
    return Buffer.concat([prefix, message]);
  }

  #take(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    while (this.#received.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + this.#received.readUInt32BE(1);
      if (this.#received.length < end) return;
      this.#event(this.#received.subarray(PREFIX_BYTES, end));
      this.#received = this.#received.subarray(end);
    }
  }

  #event(bytes: Uint8Array): void {
    const { event } = fromBinary(WatchConfigResponseSchema, bytes);
    if (event.case === "hello") {
      this.#epoch = event.value.epoch;
      this.#chunks = [];
      if (event.value.headSequence === this.#sequence) this.#becomeWhole();
    }
    if (event.case === "snapshot") this.#snapshot(event.value);
    if (event.case === "delta") this.#delta(event.value);
    if (event.case === "heartbeat" && event.value.headSequence === this.#sequence) this.#check(event.value.stateDigest);
  }

  #snapshot(chunk: SnapshotChunk): void {
    if (chunk.index !== this.#chunks.length) this.problems.push("a chunk is missing");
    this.#chunks.push(chunk);
    if (!chunk.last) return;
    this.#held.clear();
    this.#digest = EMPTY_DIGEST;
    for (const { resources } of this.#chunks) for (const resource of resources) this.#change(resource);
    if (BigInt(this.#held.size) !== chunk.totalResources) this.problems.push("the snapshot is not whole");
    this.#chunks = [];
    this.#arrive(chunk.sequence, chunk.stateDigest);
  }

  #delta(delta: Delta): void {
    if (delta.fromSequence !== this.#sequence) this.problems.push(`a change is missing after ${this.#sequence}`);
    for (const change of delta.changes) this.#change(change);
    this.#arrive(delta.toSequence, delta.stateDigest);
  }

  #change({ kind: protoKind, name, version, change }: ResourceChange): void {
    const kind = kindFromProto(protoKind);
    if (kind === undefined) return;
    const key = `${kind} ${name}`;
    const held = this.#held.get(key);
    if (held !== undefined) this.#digest = xorDigest(this.#digest, held);
    if (change.case !== "upsert") {
      this.#held.delete(key);
      return;
    }
    const digest = resourceDigest({ kind, name, version, payload: change.value });
    this.#held.set(key, digest);
    this.#digest = xorDigest(this.#digest, digest);
  }

  #arrive(sequence: bigint, said: Uint8Array): void {
    this.#sequence = sequence;
    this.#check(said);
    this.arrivals.push({ sequence: Number(sequence), atMs: sharedNowMs() });
    this.#becomeWhole();
  }

  #check(said: Uint8Array): void {
    if (!isSameDigest(said, this.#digest)) this.problems.push(`the digest at ${this.#sequence} is another`);
  }
}
