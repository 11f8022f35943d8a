import type { JwksSources } from "../../jwt/jwks.ts";
import type { ConfigResourceKind } from "../../model/config-resource.ts";
import type { RejectedResource } from "../../model/proxy.ts";
import { RevocationIndex } from "../../policy/revocation.ts";
import { pseudonymOf, type ServedConfig, type ServedLink } from "../served-link.ts";
import { LinkTable, type ResourceVersion, type StoredChange } from "./link-table.ts";
import { storedOf } from "./opener.ts";
import type { OpenedResource } from "./resource-set.ts";
import { atOnce, type Steps } from "./slices.ts";

/** A change to what is in force, decoded. `resource` undefined = it is gone. */
export interface OpenedChange extends ResourceVersion {
  readonly kind: Exclude<ConfigResourceKind, "revocation">;
  readonly resource: OpenedResource | undefined;
}

/** How old the configuration is, and may be. */
export type ConfigAge = Pick<ServedConfig, "ageMs" | "maxAgeMs">;

const CURRENT: ConfigAge = { ageMs: () => 0, maxAgeMs: Number.POSITIVE_INFINITY };

/** A change of more links than these is prepared aside, so that requests are answered meanwhile. */
const AT_ONCE_MAX = 100;

/** Puts what was prepared in force; takes no time. */
export type Commit = () => void;

/**
 * What the stages serve by. A request asks once for its link and gets one immutable object, and changes are put in force in
 * one go between requests, so each request is judged by one whole version (R3).
 */
export class CompiledLinks implements ServedConfig {
  #table: LinkTable;
  #revocations: RevocationIndex;
  #isReady = false;
  #pseudonym = "";
  readonly #age: ConfigAge;

  /** @param age default: always current */
  constructor(
    jwksSources: JwksSources,
    revocations: RevocationIndex = new RevocationIndex(),
    age: ConfigAge = CURRENT,
  ) {
    this.#age = age;
    this.#table = new LinkTable(jwksSources);
    this.#revocations = revocations;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get pseudonym(): string {
    return this.#pseudonym;
  }

  get revocations(): RevocationIndex {
    return this.#revocations;
  }

  get maxAgeMs(): number {
    return this.#age.maxAgeMs;
  }

  ageMs(): number {
    return this.#age.ageMs();
  }

  /** Number of links served. */
  get size(): number {
    return this.#table.size;
  }

  /** Whether all that is in force has been compiled once: only then `rejected` is complete. */
  get isChecked(): boolean {
    return this.#table.isChecked;
  }

  /** Names of the issuers in force. */
  issuerNames(): ReadonlySet<string> {
    return this.#table.issuerNames();
  }

  link(id: string): ServedLink | undefined {
    return this.#table.link(id);
  }

  /** A whole configuration is in force. */
  becomeReady(installationId: string): void {
    this.#pseudonym = pseudonymOf(installationId);
    this.#isReady = true;
  }

  /** Resources held in an older version, or not at all, because the newer one cannot be applied. */
  rejected(): readonly RejectedResource[] {
    return this.#table.rejected();
  }

  /** A resource that is no link's is in force, or gone. */
  accept(change: ResourceVersion): void {
    this.#table.accept(change);
  }

  /** Notes a resource that could not even be read. */
  reject(change: ResourceVersion, message: string): void {
    this.#table.reject(change, message);
  }

  /** Puts changes in force now. */
  apply(changes: readonly OpenedChange[]): void {
    const stored = changes.flatMap(({ kind, resource, ...version }): StoredChange[] => [
      { ...version, kind, resource: resource && storedOf(resource) },
    ]);
    atOnce(this.#table.apply(stored));
  }

  /** Prepares changes; they are in force when the answer is called, before the next are prepared. */
  *prepare(changes: readonly StoredChange[]): Steps<Commit> {
    if (this.#table.affectedBy(changes).size <= AT_ONCE_MAX) return () => atOnce(this.#table.apply(changes));
    const table = yield* this.#table.copy();
    yield* table.apply(changes);
    return () => {
      this.#table = table;
    };
  }

  /** As `prepare`, for a whole state with revocations of its own. */
  *prepareWhole({ stored, gone, unreadable, revocations }: WholeChange): Steps<Commit> {
    const table = yield* this.#table.copy();
    yield* table.apply(stored, true);
    for (const change of gone) table.accept(change);
    for (const { change, message } of unreadable) table.reject(change, message);
    return () => {
      this.#table = table;
      this.#revocations = revocations;
    };
  }

  /** Compiles one of the links that came with a whole state; false = all have been. */
  checkNext(): boolean {
    return this.#table.checkNext();
  }
}

/** A resource that could not even be read, and why. */
export interface Unreadable {
  readonly change: ResourceVersion;
  readonly message: string;
}

/** What it takes to get to another whole state. */
export interface WholeChange {
  /** Everything that differs and can be read. */
  readonly stored: readonly StoredChange[];
  /** What is gone besides. */
  readonly gone: readonly ResourceVersion[];
  readonly unreadable: readonly Unreadable[];
  readonly revocations: RevocationIndex;
}
