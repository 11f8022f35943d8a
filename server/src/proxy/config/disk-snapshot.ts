import { open, readFile, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  HelloSchema,
  ResourceChangeSchema,
  SnapshotChunkSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import type { JwksSeed } from "../../jwt/jwks-source.ts";
import type { Log } from "../../log.ts";
import type { EncodedResource } from "../../model/config-digest.ts";
import type { SecretText } from "../../model/secret-text.ts";
import type { Random } from "../../random.ts";
import { sealingKey } from "../../sealing/sealing-key.ts";
import { openSnapshot, sealSnapshot, snapshotKey } from "../../sealing/snapshot-key.ts";
import { kindFromProto, kindToProto } from "../../wire/config.ts";
import type { FleetFacts } from "./apply.ts";
import type { ConfigCursor } from "./state.ts";

/** What a proxy starts from when no control plane is there (R1). */
export interface StoredConfig {
  readonly fleet: FleetFacts;
  readonly cursor: ConfigCursor;
  readonly resources: readonly EncodedResource[];
  /** Fetched key sets, so that users' tokens verify also while their issuer is away. */
  readonly jwksSeeds: readonly JwksSeed[];
}

/** The snapshot file of one proxy. */
export interface DiskSnapshot {
  /** Undefined when there is none, or when it does not open: then the proxy waits for its stream. */
  read(): Promise<StoredConfig | undefined>;
  /** Replaces the file in one step: a crash leaves the old one or the new one. Rejects when the disk refuses. */
  write(config: StoredConfig): Promise<void>;
}

export const SNAPSHOT_FILE = "config.snapshot";
const PRIVATE_FILE = 0o600;

/** Sealed under a key derived from the credential: a stolen volume or backup without it does not open. */
export function createDiskSnapshot(dataDir: string, credential: SecretText, random: Random, log: Log): DiskSnapshot {
  const path = join(dataDir, SNAPSHOT_FILE);
  const key = snapshotKey(credential);
  return {
    async read() {
      const sealed = await readFile(path).catch(() => undefined);
      if (sealed === undefined) return undefined;
      try {
        return decode(openSnapshot(key, sealed));
      } catch (err) {
        log.warn({ err, path }, "the configuration kept on disk does not open; waiting for the control plane");
        return undefined;
      }
    },
    write: (config) => replaceFile(path, sealSnapshot(key, encode(config), random)),
  };
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  // A left-over of a crash could have another mode.
  await unlink(temporary).catch(() => undefined);
  const file = await open(temporary, "wx", PRIVATE_FILE);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(dirname(path), "r");
  await directory.sync().finally(() => directory.close());
}

/** Three parts, each after its length in 4 bytes: where and who, the resources, the fetched key sets. */
function encode({ fleet, cursor, resources, jwksSeeds }: StoredConfig): Uint8Array {
  const hello = create(HelloSchema, {
    epoch: cursor.epoch,
    fleetKey: fleet.fleetKeyBytes,
    installationId: fleet.installationId,
  });
  const chunk = create(SnapshotChunkSchema, {
    sequence: cursor.sequence,
    stateDigest: cursor.digest,
    resources: resources.map(({ kind, name, version, payload }) =>
      create(ResourceChangeSchema, {
        kind: kindToProto(kind),
        name,
        version,
        change: { case: "upsert" as const, value: payload },
      }),
    ),
  });
  const parts = [
    toBinary(HelloSchema, hello),
    toBinary(SnapshotChunkSchema, chunk),
    Buffer.from(JSON.stringify(jwksSeeds)),
  ];
  return Buffer.concat(parts.flatMap((part) => [lengthOf(part), part]));
}

function lengthOf(part: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(part.length);
  return bytes;
}

function decode(bytes: Uint8Array): StoredConfig {
  const [helloBytes, chunkBytes, seedBytes] = partsOf(Buffer.from(bytes));
  const hello = fromBinary(HelloSchema, helloBytes);
  const { sequence, stateDigest, resources } = fromBinary(SnapshotChunkSchema, chunkBytes);
  return {
    fleet: {
      installationId: hello.installationId,
      fleetKey: sealingKey(hello.fleetKey),
      fleetKeyBytes: hello.fleetKey,
    },
    cursor: { epoch: hello.epoch, sequence, digest: stateDigest },
    resources: resources.flatMap(({ kind, name, version, change }) => {
      const known = kindFromProto(kind);
      return known === undefined || change.case !== "upsert"
        ? []
        : [{ kind: known, name, version, payload: change.value }];
    }),
    // Sealed by ourselves: nobody without the key can have written anything else.
    jwksSeeds: JSON.parse(Buffer.from(seedBytes).toString("utf8")) as JwksSeed[],
  };
}

function partsOf(bytes: Buffer): [Uint8Array, Uint8Array, Uint8Array] {
  let at = 0;
  const next = (): Uint8Array => {
    const start = at + 4;
    at = start + bytes.readUInt32BE(at);
    return bytes.subarray(start, at);
  };
  return [next(), next(), next()];
}
