import { compileLink } from "../../judge/judged-link.ts";
import type { JwksSources } from "../../jwt/jwks.ts";
import { type TrustedIssuer, trustIssuer } from "../../jwt/trust.ts";
import type { ConfigResourceKind } from "../../model/config-resource.ts";
import { ConduitError } from "../../model/errors.ts";
import type { RejectedResource } from "../../model/proxy.ts";
import { assertionKeyName, idOf } from "../../model/resource-name.ts";
import type { SecretText } from "../../model/secret-text.ts";
import { RevocationIndex } from "../../policy/revocation.ts";
import { compileServedLink, pseudonymOf, type ServedConfig, type ServedLink } from "../served-link.ts";
import { type OpenedResource, ResourceSet, secretOfIssuer } from "./resource-set.ts";
import { resourceKey } from "./state.ts";

/** Which version of which resource. */
export interface ResourceVersion {
  readonly kind: ConfigResourceKind;
  readonly name: string;
  readonly version: bigint;
}

/** A change to what is in force. `resource` undefined = it is gone. */
export interface OpenedChange extends ResourceVersion {
  readonly kind: OpenedResource["kind"];
  readonly resource: OpenedResource | undefined;
}

/** A resource that could not be applied, and why. */
interface Rejected {
  readonly change: ResourceVersion & { readonly resource?: OpenedResource | undefined };
  readonly message: string;
}

/**
 * What the stages serve by: every link compiled from the resources in force. The one place where derived state is made.
 * A request asks once for its link and gets one immutable object, and changes are applied in one go between requests, so
 * each request is judged by one whole version (R3) without a copy of the table for every change.
 */
export class CompiledLinks implements ServedConfig {
  readonly revocations: RevocationIndex;
  readonly #jwksSources: JwksSources;
  readonly #resources = new ResourceSet();
  readonly #served = new Map<string, ServedLink>();
  readonly #trusted = new Map<string, TrustedIssuer>();
  readonly #rejected = new Map<string, Rejected>();
  #isReady = false;
  #pseudonym = "";

  constructor(jwksSources: JwksSources, revocations: RevocationIndex = new RevocationIndex()) {
    this.#jwksSources = jwksSources;
    this.revocations = revocations;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get pseudonym(): string {
    return this.#pseudonym;
  }

  /** Number of links served. */
  get size(): number {
    return this.#served.size;
  }

  /** Names of the issuers in force. */
  issuerNames(): ReadonlySet<string> {
    return new Set(this.#resources.issuers.keys());
  }

  link(id: string): ServedLink | undefined {
    return this.#served.get(id);
  }

  /** A whole configuration is in force. */
  becomeReady(installationId: string): void {
    this.#pseudonym = pseudonymOf(installationId);
    this.#isReady = true;
  }

  /** Resources held in an older version, or not at all, because the newer one cannot be applied. */
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

  /**
   * Puts changes in force. What makes a link impossible to compile is taken back and rejected, each resource for itself:
   * one bad link must not keep a revoked token in force.
   */
  apply(changes: readonly OpenedChange[]): void {
    for (const { kind, name } of changes) this.#rejected.delete(resourceKey(kind, name));
    const all = [...changes, ...this.#secondChances(changes)];
    const before = all.map(({ kind, name }) => this.#resources.get(kind, name));
    const affected = new Set(all.flatMap((change) => this.#put(change)));
    const failures = this.#compile(affected);
    if (failures.size === 0) return;
    const retry = new Set<string>();
    for (const [at, change] of all.entries()) {
      const hit = this.#resources.linksAffectedBy(change.kind, change.name).filter((link) => failures.has(link));
      const [link] = hit;
      // Deletions and tokens stay: taking back a withdrawal would be the worse fault.
      if (link === undefined || change.resource === undefined || change.kind === "link_token") continue;
      this.reject(change, failures.get(link) ?? "");
      for (const name of this.#put({ ...change, resource: before[at] })) retry.add(name);
    }
    for (const link of failures.keys()) retry.add(link);
    for (const link of this.#compile(retry).keys()) this.#served.delete(idOf(link));
  }

  /** Rejected links whose issuers, secrets or keys change now: what was wrong may be put right. */
  #secondChances(changes: readonly OpenedChange[]): readonly OpenedChange[] {
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
  #put({ kind, name, resource }: OpenedChange): readonly string[] {
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

  /** Compiles links anew; those that fail keep what they were, and their problem is returned. */
  #compile(names: ReadonlySet<string>): ReadonlyMap<string, string> {
    const failures = new Map<string, string>();
    for (const name of names) {
      try {
        const served = this.#compileOne(name);
        if (served === undefined) this.#served.delete(idOf(name));
        else this.#served.set(idOf(name), served);
      } catch (cause) {
        failures.set(name, problemOf(cause));
      }
    }
    return failures;
  }

  #compileOne(name: string): ServedLink | undefined {
    const link = this.#resources.links.get(name);
    if (link === undefined) return undefined;
    const linkTokens = this.#resources.tokensOf(name);
    const issuers = link.issuers.flatMap((issuer) => this.#trust(issuer) ?? []);
    const judged = compileLink({ link, linkTokens, issuers });
    const debugKeys = this.#resources.debugKeys.get(name) ?? [];
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
