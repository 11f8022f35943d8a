import { compileLink } from "../../judge/judged-link.ts";
import type { JwksSources } from "../../jwt/jwks.ts";
import { type TrustedIssuer, trustIssuer } from "../../jwt/trust.ts";
import type { ConfigResourceKind } from "../../model/config-resource.ts";
import { ConduitError } from "../../model/errors.ts";
import type { RejectedResource } from "../../model/proxy.ts";
import { assertionKeyName, idOf } from "../../model/resource-name.ts";
import type { SecretText } from "../../model/secret-text.ts";
import { compileServedLink, type ServedLink } from "../served-link.ts";
import { ResourceSet, type StoredResource, secretOfIssuer } from "./resource-set.ts";
import { ServedCache } from "./served-cache.ts";
import type { Steps } from "./slices.ts";
import { resourceKey } from "./state.ts";

/** Which version of which resource. */
export interface ResourceVersion {
  readonly kind: ConfigResourceKind;
  readonly name: string;
  readonly version: bigint;
}

/** A change to what is in force. `resource` undefined = it is gone. */
export interface StoredChange extends ResourceVersion {
  readonly kind: StoredResource["kind"];
  readonly resource: StoredResource | undefined;
}

/** A resource that could not be applied, and why. */
interface Rejected {
  readonly change: ResourceVersion & { readonly resource?: StoredResource | undefined };
  readonly message: string;
}

/**
 * One version of what is served: the resources in force, and the links compiled from them. The one place where derived state
 * is made. A link is compiled to see whether it can be, and again when it is first asked for: what is compiled of a hundred
 * thousand would take a gigabyte.
 */
export class LinkTable {
  readonly #jwksSources: JwksSources;
  #resources = new ResourceSet();
  #served = new ServedCache();
  readonly #trusted = new Map<string, TrustedIssuer>();
  readonly #rejected = new Map<string, Rejected>();
  /** Names of links that no version in force can be compiled of. */
  readonly #broken = new Set<string>();
  /** New links nobody has compiled yet, with their version. */
  readonly #unchecked = new Map<string, bigint>();

  constructor(jwksSources: JwksSources) {
    this.#jwksSources = jwksSources;
  }

  /** Number of links served. */
  get size(): number {
    return this.#resources.linkCount - this.#broken.size;
  }

  /** Whether a rejection may still come of what is in force. */
  get isChecked(): boolean {
    return this.#unchecked.size === 0;
  }

  issuerNames(): ReadonlySet<string> {
    return new Set(this.#resources.issuers.keys());
  }

  link(id: string): ServedLink | undefined {
    return this.#served.get(id) ?? this.#compiled(id);
  }

  rejected(): readonly RejectedResource[] {
    return [...this.#rejected.values()].map(({ change: { name, version }, message }) => ({
      name,
      version: String(version),
      message,
    }));
  }

  /** A resource that is no link's is in force, or gone. */
  accept({ kind, name }: ResourceVersion): void {
    this.#rejected.delete(resourceKey(kind, name));
  }

  /** Notes a resource that could not even be read. */
  reject(change: Rejected["change"], message: string): void {
    this.#rejected.set(resourceKey(change.kind, change.name), { change, message });
  }

  /** Names of the links these changes are about. */
  affectedBy(changes: readonly StoredChange[]): ReadonlySet<string> {
    return new Set(changes.flatMap(({ kind, name }) => this.#resources.linksAffectedBy(kind, name)));
  }

  /** Another table of the same. Nothing may change meanwhile. */
  *copy(): Steps<LinkTable> {
    const copy = new LinkTable(this.#jwksSources);
    copy.#resources = yield* this.#resources.copy();
    copy.#served = this.#served.copy();
    for (const [name, trusted] of this.#trusted) copy.#trusted.set(name, trusted);
    for (const [key, rejected] of this.#rejected) copy.#rejected.set(key, rejected);
    for (const name of this.#broken) copy.#broken.add(name);
    for (const [name, version] of this.#unchecked) copy.#unchecked.set(name, version);
    return copy;
  }

  /**
   * Puts changes in force. What makes a link impossible to compile is taken back and rejected, each resource for itself:
   * one bad link must not keep a revoked token in force.
   * @param isLater links that were not there before are compiled when `checkNext` or a request comes to them
   */
  *apply(changes: readonly StoredChange[], isLater = false): Steps<void> {
    for (const { kind, name } of changes) this.#rejected.delete(resourceKey(kind, name));
    // What is there must have been compiled once: it is what stays when a change is rejected.
    if (!this.isChecked) {
      for (const name of this.affectedBy(changes)) {
        if (this.#unchecked.has(name)) this.#checkOne(name);
        yield;
      }
    }
    const all = [...changes, ...this.#secondChances(changes)];
    const before: (StoredResource | undefined)[] = [];
    const affected = new Set<string>();
    for (const change of all) {
      const held = this.#resources.get(change.kind, change.name);
      before.push(held);
      const isNew = isLater && change.kind === "link" && held === undefined && change.resource !== undefined;
      if (isNew) this.#unchecked.set(change.name, change.version);
      for (const name of this.#put(change)) affected.add(name);
      yield;
    }
    const failures = yield* this.#check(affected);
    if (failures.size === 0) return;
    const retry = new Set<string>();
    for (const [at, change] of all.entries()) {
      const hit = this.#resources.linksAffectedBy(change.kind, change.name).filter((link) => failures.has(link));
      const [link] = hit;
      yield;
      // Deletions and tokens stay: taking back a withdrawal would be the worse fault.
      if (link === undefined || change.resource === undefined || change.kind === "link_token") continue;
      this.reject(change, failures.get(link) ?? "");
      for (const name of this.#put({ ...change, resource: before[at] })) retry.add(name);
    }
    for (const link of failures.keys()) retry.add(link);
    for (const link of (yield* this.#check(retry)).keys()) this.#broken.add(link);
  }

  /** Compiles one of the links that were put in force unseen, and rejects it if it cannot be; false = there is none. */
  checkNext(): boolean {
    const next = this.#unchecked.keys().next();
    if (next.done === true) return false;
    const id = idOf(next.value);
    if (this.#served.has(id)) this.#unchecked.delete(next.value);
    else this.#checkOne(next.value);
    return true;
  }

  #compiled(id: string): ServedLink | undefined {
    const name = this.#resources.linkName(id);
    if (name === undefined || this.#broken.has(name)) return undefined;
    const served = this.#checkOne(name);
    if (served !== undefined) this.#served.set(id, served);
    return served;
  }

  /** A link alone: when it cannot be compiled it is rejected, and there is no older one to serve. */
  #checkOne(name: string): ServedLink | undefined {
    const version = this.#unchecked.get(name);
    this.#unchecked.delete(name);
    try {
      return this.#compile(name);
    } catch (cause) {
      if (version === undefined) throw cause;
      const resource = this.#resources.get("link", name);
      this.reject({ kind: "link", name, version, resource }, problemOf(cause));
      this.#put({ kind: "link", name, version, resource: undefined });
      return undefined;
    }
  }

  /** Rejected links whose issuers, secrets or keys change now: what was wrong may be put right. */
  #secondChances(changes: readonly StoredChange[]): readonly StoredChange[] {
    if (this.#rejected.size === 0) return [];
    const isDependency = changes.some(({ kind }) => kind !== "link" && kind !== "link_token");
    const waiting = isDependency ? [...this.#rejected.values()] : [];
    const again = waiting.flatMap(({ change: { name, version, resource } }) =>
      resource === undefined ? [] : [{ kind: resource.kind, name, version, resource }],
    );
    for (const { kind, name } of again) this.#rejected.delete(resourceKey(kind, name));
    return again;
  }

  /** Puts one change into the set; returns the links it affects, before and after. */
  #put({ kind, name, resource }: StoredChange): readonly string[] {
    const before = this.#resources.linksAffectedBy(kind, name);
    if (resource === undefined) this.#resources.delete(kind, name);
    else this.#resources.put(resource);
    if (kind === "issuer") this.#trusted.delete(name);
    if (kind === "secret") {
      for (const [issuer, { issuer: it }] of this.#trusted)
        if (secretOfIssuer(it) === name) this.#trusted.delete(issuer);
    }
    return [...before, ...this.#resources.linksAffectedBy(kind, name)];
  }

  /** Compiles links anew, those still unchecked left out; of those that fail, the problem is returned. */
  *#check(names: ReadonlySet<string>): Steps<ReadonlyMap<string, string>> {
    const failures = new Map<string, string>();
    for (const name of names) {
      const id = idOf(name);
      const isServed = this.#served.has(id);
      this.#served.delete(id);
      this.#broken.delete(name);
      if (this.#unchecked.has(name)) continue;
      try {
        const served = this.#compile(name);
        if (isServed && served !== undefined) this.#served.set(id, served);
      } catch (cause) {
        failures.set(name, problemOf(cause));
      }
      yield;
    }
    return failures;
  }

  #compile(name: string): ServedLink | undefined {
    const found = this.#resources.link(name);
    if (found === undefined) return undefined;
    const { link, debugKeys } = found;
    const linkTokens = this.#resources.tokensOf(name);
    const issuers = link.issuers.flatMap((issuer) => this.#trust(issuer) ?? []);
    const judged = compileLink({ link, linkTokens, issuers });
    const assertionKey = this.#resources.assertionKeys.get(assertionKeyName(judged.project));
    const secretOf = (secret: string) => this.#secretOf(secret);
    return compileServedLink({ judged, linkTokens, debugKeys, secretOf, assertionKey });
  }

  #trust(name: string): TrustedIssuer | undefined {
    const known = this.#trusted.get(name);
    const entry = this.#resources.issuers.get(name);
    if (known !== undefined || entry === undefined) return known;
    const secretName = secretOfIssuer(entry.issuer);
    const secret = secretName === undefined ? undefined : this.#resources.secrets.get(secretName);
    const { issuer, jwks } = entry;
    const parts = { issuer, jwksSources: this.#jwksSources };
    const trusted = trustIssuer({ ...parts, ...(jwks !== undefined && { jwks }), ...(secret && { secret }) });
    this.#trusted.set(name, trusted);
    return trusted;
  }

  #secretOf(name: string): SecretText {
    const secret = this.#resources.secrets.get(name);
    if (secret === undefined) throw new ConduitError("field_invalid", { detail: "an injection's secret is not there" });
    return secret.current;
  }
}

/** Public text of why a resource cannot be applied; texts of unexpected faults could hold anything. */
export const problemOf = (cause: unknown): string => {
  if (cause instanceof ConduitError) return cause.detail;
  return cause instanceof TypeError ? cause.message : "the resource cannot be applied";
};
