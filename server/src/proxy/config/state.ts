import {
  EMPTY_DIGEST,
  type EncodedResource,
  isSameDigest,
  resourceDigest,
  xorDigest,
} from "../../model/config-digest.ts";
import { isHoldable, type RevocationIndex } from "../../policy/revocation.ts";
import type { HeldRevocation } from "../../policy/revocation-table.ts";
import { decodeConfigResource, encodeConfigResource } from "../../wire/config.ts";

/** Where in which history a state is, and what it looks like there. */
export interface ConfigCursor {
  readonly epoch: string;
  readonly sequence: bigint;
  readonly digest: Uint8Array;
}

/** A resource as it now is, or its deletion. */
export type HeldChange =
  | { readonly op: "upsert"; readonly resource: EncodedResource }
  | { readonly op: "delete"; readonly kind: EncodedResource["kind"]; readonly name: string; readonly version: bigint };

interface Held {
  readonly resource: EncodedResource;
  readonly digest: Uint8Array;
}

/** Key of a resource in every map of this folder. */
export const resourceKey = (kind: string, name: string): string => `${kind} ${name}`;

/**
 * The configuration exactly as the control plane sent it, bad resources included: what the digest is taken of. Revocations
 * are held once, in the index that stage 6 asks: what is held of them is in force.
 */
export class HeldState {
  readonly #held = new Map<string, Held>();
  readonly #revocations: RevocationIndex;
  #cursor: ConfigCursor | undefined;
  #digest: Uint8Array = EMPTY_DIGEST;

  constructor(revocations: RevocationIndex) {
    this.#revocations = revocations;
  }

  /** Undefined = nothing was ever applied. */
  get cursor(): ConfigCursor | undefined {
    return this.#cursor;
  }

  /** XOR over all resources held. */
  get digest(): Uint8Array {
    return this.#digest;
  }

  *resources(): Iterable<EncodedResource> {
    for (const { resource } of this.#held.values()) yield resource;
    for (const revocation of this.#revocations.entries()) yield encodedOf(revocation);
  }

  /** Applies the changes that are newer than what is held, and returns them: a replay changes nothing. */
  apply(changes: readonly HeldChange[]): readonly HeldChange[] {
    return changes.filter((change) => (change.op === "upsert" ? this.#upsert(change.resource) : this.#delete(change)));
  }

  /** What it takes to get from this state to a whole one. */
  differenceTo(resources: readonly EncodedResource[]): readonly HeldChange[] {
    const wanted = new Set(resources.map(({ kind, name }) => resourceKey(kind, name)));
    const changes: HeldChange[] = [];
    for (const { kind, name, version } of this.resources())
      if (!wanted.has(resourceKey(kind, name))) changes.push({ op: "delete", kind, name, version });
    for (const resource of resources) if (!this.#holds(resource)) changes.push({ op: "upsert", resource });
    return changes;
  }

  /** As `apply`, for a difference: an older version replaces a newer one too (another epoch, a restored database). */
  replace(changes: readonly HeldChange[]): void {
    for (const change of changes) {
      if (change.op === "upsert") this.#put(change.resource);
      else this.#remove(change);
    }
  }

  moveTo(epoch: string, sequence: bigint): void {
    this.#cursor = { epoch, sequence, digest: this.#digest };
  }

  #upsert(resource: EncodedResource): boolean {
    const held = this.#get(resource);
    if (held !== undefined && held.resource.version >= resource.version) return false;
    this.#put(resource);
    return true;
  }

  #delete(change: HeldChange & { op: "delete" }): boolean {
    const held = this.#get(change);
    return held !== undefined && held.resource.version < change.version && this.#remove(change);
  }

  #put(resource: EncodedResource): void {
    this.#remove(resource);
    const digest = resourceDigest(resource);
    const revocation = heldRevocationOf(resource);
    if (revocation === undefined) this.#held.set(resourceKey(resource.kind, resource.name), { resource, digest });
    else this.#revocations.set(revocation);
    this.#digest = xorDigest(this.#digest, digest);
  }

  #remove(key: Key): boolean {
    const held = this.#get(key);
    if (held === undefined) return false;
    this.#digest = xorDigest(this.#digest, held.digest);
    if (key.kind === "revocation" && this.#revocations.delete(key.name)) return true;
    return this.#held.delete(resourceKey(key.kind, key.name));
  }

  #holds(resource: EncodedResource): boolean {
    const held = this.#get(resource);
    return (
      held !== undefined &&
      held.resource.version === resource.version &&
      isSameDigest(held.digest, resourceDigest(resource))
    );
  }

  #get({ kind, name }: Key): Held | undefined {
    const revocation = kind === "revocation" ? this.#revocations.get(name) : undefined;
    if (revocation === undefined) return this.#held.get(resourceKey(kind, name));
    const resource = encodedOf(revocation);
    return { resource, digest: resourceDigest(resource) };
  }
}

type Key = Pick<EncodedResource, "kind" | "name">;

/** A revocation in the index, as it came: `heldRevocationOf` has seen to it that these are the same bytes. */
function encodedOf({ name, version, entry }: HeldRevocation): EncodedResource {
  return {
    kind: "revocation",
    name,
    version,
    payload: encodeConfigResource({ kind: "revocation", name, revocation: entry }),
  };
}

/**
 * A revocation as the index holds it; undefined = it is none, or one that would not come out again as it came (unreadable,
 * or with something only a newer version knows): that is held as bytes, and rejected where it is put in force.
 */
function heldRevocationOf(resource: EncodedResource): HeldRevocation | undefined {
  if (resource.kind !== "revocation") return undefined;
  const revocation = readRevocation(resource);
  if (revocation === undefined || !isHoldable(revocation)) return undefined;
  return Buffer.compare(encodedOf(revocation).payload, resource.payload) === 0 ? revocation : undefined;
}

function readRevocation({ name, version, payload }: EncodedResource): HeldRevocation | undefined {
  try {
    const decoded = decodeConfigResource("revocation", payload);
    return decoded.kind === "revocation" && decoded.name === name
      ? { name, version, entry: decoded.revocation }
      : undefined;
  } catch {
    return undefined;
  }
}
