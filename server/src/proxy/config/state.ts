import {
  EMPTY_DIGEST,
  type EncodedResource,
  isSameDigest,
  resourceDigest,
  xorDigest,
} from "../../model/config-digest.ts";

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

/** The configuration exactly as the control plane sent it, bad resources included: what the digest is taken of. */
export class HeldState {
  readonly #held = new Map<string, Held>();
  #cursor: ConfigCursor | undefined;
  #digest: Uint8Array = EMPTY_DIGEST;

  /** Undefined = nothing was ever applied. */
  get cursor(): ConfigCursor | undefined {
    return this.#cursor;
  }

  /** XOR over all resources held. */
  get digest(): Uint8Array {
    return this.#digest;
  }

  get size(): number {
    return this.#held.size;
  }

  *resources(): Iterable<EncodedResource> {
    for (const { resource } of this.#held.values()) yield resource;
  }

  /** Applies the changes that are newer than what is held, and returns them: a replay changes nothing. */
  apply(changes: readonly HeldChange[]): readonly HeldChange[] {
    return changes.filter((change) => (change.op === "upsert" ? this.#upsert(change.resource) : this.#delete(change)));
  }

  /** What it takes to get from this state to a whole one. */
  differenceTo(resources: readonly EncodedResource[]): readonly HeldChange[] {
    const wanted = new Set(resources.map(({ kind, name }) => resourceKey(kind, name)));
    const gone = [...this.#held.values()].filter(
      ({ resource }) => !wanted.has(resourceKey(resource.kind, resource.name)),
    );
    return [
      ...gone.map(({ resource: { kind, name, version } }) => ({ op: "delete" as const, kind, name, version })),
      ...resources
        .filter((resource) => !this.#holds(resource))
        .map((resource) => ({ op: "upsert" as const, resource })),
    ];
  }

  /** As `apply`, for a difference: an older version replaces a newer one too (another epoch, a restored database). */
  replace(changes: readonly HeldChange[]): void {
    for (const change of changes) {
      if (change.op === "upsert") this.#put(change.resource);
      else this.#remove(resourceKey(change.kind, change.name));
    }
  }

  moveTo(epoch: string, sequence: bigint): void {
    this.#cursor = { epoch, sequence, digest: this.#digest };
  }

  #upsert(resource: EncodedResource): boolean {
    const held = this.#held.get(resourceKey(resource.kind, resource.name));
    if (held !== undefined && held.resource.version >= resource.version) return false;
    this.#put(resource);
    return true;
  }

  #delete({ kind, name, version }: HeldChange & { op: "delete" }): boolean {
    const key = resourceKey(kind, name);
    const held = this.#held.get(key);
    return held !== undefined && held.resource.version < version && this.#remove(key);
  }

  #put(resource: EncodedResource): void {
    const key = resourceKey(resource.kind, resource.name);
    this.#remove(key);
    const digest = resourceDigest(resource);
    this.#held.set(key, { resource, digest });
    this.#digest = xorDigest(this.#digest, digest);
  }

  #remove(key: string): boolean {
    const held = this.#held.get(key);
    if (held !== undefined) this.#digest = xorDigest(this.#digest, held.digest);
    return this.#held.delete(key);
  }

  #holds(resource: EncodedResource): boolean {
    const held = this.#held.get(resourceKey(resource.kind, resource.name));
    return (
      held !== undefined &&
      held.resource.version === resource.version &&
      isSameDigest(held.digest, resourceDigest(resource))
    );
  }
}
