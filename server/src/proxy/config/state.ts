import { EMPTY_DIGEST, type EncodedResource, resourceDigest, xorDigest } from "../../model/config-digest.ts";
import type { RevocationIndex } from "../../policy/revocation.ts";
import { encodedOf, type KeptResource, keptOf } from "./kept-resource.ts";
import { encodedRevocation, heldRevocationOf } from "./revocation-bytes.ts";

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

type Key = Pick<EncodedResource, "kind" | "name">;

/** Key of a resource in every map of this folder. */
export const resourceKey = (kind: string, name: string): string => `${kind} ${name}`;

/**
 * The configuration exactly as the control plane sent it, bad resources included: what the digest is taken of. Revocations
 * are held once, in the index that stage 6 asks: what is held of them is in force.
 */
export class HeldState {
  readonly revocations: RevocationIndex;
  readonly #kept = new Map<string, KeptResource>();
  #cursor: ConfigCursor | undefined;
  #digest: Uint8Array = EMPTY_DIGEST;

  constructor(revocations: RevocationIndex) {
    this.revocations = revocations;
  }

  /** Undefined = nothing was ever applied. */
  get cursor(): ConfigCursor | undefined {
    return this.#cursor;
  }

  /** XOR over all resources held. */
  get digest(): Uint8Array {
    return this.#digest;
  }

  /** Number of resources that the index of revocations does not hold. */
  get keptCount(): number {
    return this.#kept.size;
  }

  *resources(): Iterable<EncodedResource> {
    for (const kept of this.#kept.values()) yield encodedOf(kept);
    for (const revocation of this.revocations.entries()) yield encodedRevocation(revocation);
  }

  /** All that the index of revocations does not hold. */
  kept(): Iterable<KeptResource> {
    return this.#kept.values();
  }

  keptAt({ kind, name }: Key): KeptResource | undefined {
    return this.#kept.get(resourceKey(kind, name));
  }

  /** The changes that are newer than what is held: a replay changes nothing. */
  newer(changes: readonly HeldChange[]): readonly HeldChange[] {
    return changes.filter((change) => {
      const held = this.#versionOf(change.op === "upsert" ? change.resource : change);
      if (change.op === "upsert") return held === undefined || held < change.resource.version;
      return held !== undefined && held < change.version;
    });
  }

  /** Applies the changes that are newer than what is held. */
  apply(changes: readonly HeldChange[]): void {
    for (const change of changes) {
      if (this.newer([change]).length === 0) continue;
      if (change.op === "upsert") this.put(change.resource);
      else this.#remove(change);
    }
  }

  /** Puts a resource, whatever version is held. @param same an equal one that is in memory already, if it is equal */
  put(resource: EncodedResource, same?: KeptResource): void {
    this.#remove(resource);
    const revocation = heldRevocationOf(resource);
    if (revocation === undefined) {
      const kept = keptOf(resource);
      const isSame = same?.version === kept.version && same.payload === kept.payload;
      this.#kept.set(resourceKey(resource.kind, resource.name), isSame ? same : kept);
    } else this.revocations.set(revocation);
    this.#digest = xorDigest(this.#digest, resourceDigest(resource));
  }

  moveTo(epoch: string, sequence: bigint): void {
    this.#cursor = { epoch, sequence, digest: this.#digest };
  }

  #remove(key: Key): void {
    const held = this.#get(key);
    if (held === undefined) return;
    this.#digest = xorDigest(this.#digest, resourceDigest(held));
    if (key.kind !== "revocation" || !this.revocations.delete(key.name))
      this.#kept.delete(resourceKey(key.kind, key.name));
  }

  #versionOf({ kind, name }: Key): bigint | undefined {
    const revocation = kind === "revocation" ? this.revocations.get(name) : undefined;
    return (revocation ?? this.#kept.get(resourceKey(kind, name)))?.version;
  }

  #get({ kind, name }: Key): EncodedResource | undefined {
    const revocation = kind === "revocation" ? this.revocations.get(name) : undefined;
    if (revocation !== undefined) return encodedRevocation(revocation);
    const kept = this.#kept.get(resourceKey(kind, name));
    return kept && encodedOf(kept);
  }
}
