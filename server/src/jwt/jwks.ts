import type { Issuer, IssuerKeyStatus, IssuerKeys } from "../model/issuer.ts";
import { type JwksAddress, type JwksContext, type JwksSeed, JwksSource, seedMark } from "./jwks-source.ts";
import type { KeySource } from "./key-source.ts";

/** Sources kept per issuer: that of its newest address, and the one before, in case the change is taken back. */
const SOURCES_PER_ISSUER = 2;

interface Kept {
  readonly address: JwksAddress;
  readonly source: JwksSource;
}

/** All sources of a process. They outlive the compiled issuers: a changed link does not fetch its issuers' keys anew. */
export class JwksSources {
  readonly #context: JwksContext;
  /** By everything that an address is made of. */
  readonly #byKey = new Map<string, Kept>();
  readonly #closing = new AbortController();

  constructor(context: JwksContext) {
    this.#context = context;
  }

  /** The source of one issuer. Another issuer with the same URL has its own: tenants never share keys or budgets. */
  of(issuer: Issuer, keys: IssuerKeys & { readonly kind: JwksAddress["kind"] }): KeySource {
    const { allowPrivate, caCertificates } = issuer;
    const address: JwksAddress = { issuer: issuer.name, ...keys, allowPrivate, caCertificates };
    const key = JSON.stringify([address.issuer, keys.kind, keys.url, allowPrivate, caCertificates]);
    const kept = this.#byKey.get(key) ?? this.#add(key, address);
    kept.source.wish(issuer.keysRefreshTimeMs);
    return kept.source;
  }

  /** Names of the issuers that there are sources of. */
  issuerNames(): ReadonlySet<string> {
    return new Set([...this.#byKey.values()].map(({ address }) => address.issuer));
  }

  /** Forgets sources of issuers that are gone. @param issuers names of those that remain */
  retain(issuers: ReadonlySet<string>): void {
    for (const [key, { address }] of this.#byKey) if (!issuers.has(address.issuer)) this.#byKey.delete(key);
  }

  /** To be called every few seconds: fetches sets before they are too old, and those that someone wants anew. */
  refreshDue(): void {
    for (const { source } of this.#byKey.values()) source.refreshIfDue();
  }

  /** Of each issuer's newest source, as far as anything was attempted. */
  status(): readonly IssuerKeyStatus[] {
    const byIssuer = new Map<string, IssuerKeyStatus>();
    for (const { address, source } of this.#byKey.values()) {
      const status = source.status();
      if (status !== undefined) byIssuer.set(address.issuer, status);
    }
    return [...byIssuer.values()];
  }

  /** What to keep over a restart. */
  toSeeds(): readonly JwksSeed[] {
    return [...this.#byKey.values()].flatMap(({ source }) => source.toSeed() ?? []);
  }

  /** Differs from the one before when `toSeeds` should be kept anew. */
  seedsMark(): string {
    return this.toSeeds().map(seedMark).join("\n");
  }

  /** Gives a new source the set it had before a restart; its age counts on. A clock behind the seed's makes it new. */
  seed(seed: JwksSeed): void {
    const ageMs = Math.max(0, this.#context.clock.now() - seed.fetchedAtMs);
    for (const { address, source } of this.#byKey.values()) {
      if (address.issuer === seed.issuer && address.url === seed.url) source.seed(seed, ageMs);
    }
  }

  /** Aborts fetches under way; for shutdown. */
  close(): void {
    this.#closing.abort();
  }

  #add(key: string, address: JwksAddress): Kept {
    const older = [...this.#byKey].filter(([, kept]) => kept.address.issuer === address.issuer).map(([it]) => it);
    for (const gone of older.slice(0, Math.max(0, older.length + 1 - SOURCES_PER_ISSUER))) this.#byKey.delete(gone);
    const kept = { address, source: new JwksSource(this.#context, address, this.#closing.signal) };
    this.#byKey.set(key, kept);
    return kept;
  }
}
