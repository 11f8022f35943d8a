import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { ConduitError } from "../model/errors.ts";
import type { FetchedDocument, FetchJson } from "../outbound/capped-fetch.ts";
import { parseKeySet } from "./key-set.ts";
import type { KeySet, KeySource } from "./key-source.ts";

/** How long a fetched set is used before it is fetched again, when its answer does not say; bounds for what it says. */
const MAX_AGE_DEFAULT_MS = 10 * 60_000;
const MAX_AGE_BOUNDS_MS = [60_000, 24 * 3_600_000] as const;
/**
 * Between two attempts, whatever asks for them and however they end. One budget per issuer is also the negative cache:
 * 10,000 tokens with made-up `kid`s cost one fetch, and no memory.
 */
const COOLDOWN_MS = 30_000;
/** After so long without a successful fetch the keys are no longer used. */
const STALE_MAX_MS = 24 * 3_600_000;
const TIMEOUT_MS = 5_000;
const BODY_MAX_BYTES = 1024 * 1024;
/** Sources kept per issuer: that of its newest URL, and the one before, in case the change is taken back. */
const SOURCES_PER_ISSUER = 2;

/** What sources need from outside. */
export interface JwksContext {
  readonly fetchJson: FetchJson;
  readonly clock: Clock;
  readonly log: Log;
}

/** State of one source, for people. */
export interface JwksStatus {
  readonly issuer: string;
  readonly kids: readonly string[];
  /** Since the last successful fetch; undefined = there was none. */
  readonly ageMs: number | undefined;
  /** Public text; undefined = the last attempt succeeded, or there was none. */
  readonly lastError: string | undefined;
}

/** A fetched set as it is kept over a restart. */
export interface JwksSeed {
  readonly issuer: string;
  readonly url: string;
  readonly jwks: string;
  /** Wall clock, milliseconds since the epoch. */
  readonly fetchedAtMs: number;
}

interface Fetched {
  readonly set: KeySet;
  readonly jwks: string;
  /** Monotonic clock. */
  readonly atMs: number;
  readonly maxAgeMs: number;
}

/** Keys behind a `jwks_url`, under the policy of design.md 8. Ages are measured on the monotonic clock. */
class JwksSource implements KeySource {
  readonly #context: JwksContext;
  readonly #issuer: string;
  readonly #url: string;
  readonly #allowPrivate: boolean;
  readonly #signal: AbortSignal;
  #fetched: Fetched | undefined;
  #attemptedAtMs = Number.NEGATIVE_INFINITY;
  #usedAtMs = Number.NEGATIVE_INFINITY;
  #lastError: string | undefined;
  #inFlight: Promise<void> | undefined;

  constructor(context: JwksContext, issuer: string, url: string, allowPrivate: boolean, signal: AbortSignal) {
    this.#context = context;
    this.#issuer = issuer;
    this.#url = url;
    this.#allowPrivate = allowPrivate;
    this.#signal = signal;
  }

  current(): KeySet | undefined {
    const fetched = this.#fetched;
    if (fetched === undefined) return undefined;
    this.#usedAtMs = this.#context.clock.monotonic();
    const ageMs = this.#usedAtMs - fetched.atMs;
    if (ageMs < fetched.maxAgeMs) return fetched.set;
    void this.#attempt();
    // Long unused, so nobody noticed that it aged: wait once for the new one, unless waiting was in vain already.
    const isForgotten = ageMs >= 2 * fetched.maxAgeMs && this.#lastError === undefined;
    return isForgotten ? undefined : this.#usable();
  }

  async load(): Promise<KeySet | undefined> {
    const fetched = this.#fetched;
    if (fetched === undefined || this.#ageOf(fetched) >= fetched.maxAgeMs) await this.#attempt();
    return this.#usable();
  }

  async newer(than: KeySet): Promise<KeySet | undefined> {
    if (this.#fetched?.set === than) await this.#attempt();
    const set = this.#usable();
    return set === than ? undefined : set;
  }

  /** Fetches now, cooldown or not; for an operator's word. */
  refresh(): Promise<void> {
    this.#inFlight ??= this.#fetch().finally(() => {
      this.#inFlight = undefined;
    });
    return this.#inFlight;
  }

  /** Starts a fetch when the set will be too old soon and is in use, so that no request has to wait for it. */
  refreshIfDue(): void {
    const fetched = this.#fetched;
    if (fetched === undefined || this.#usedAtMs < fetched.atMs) return;
    if (this.#ageOf(fetched) >= 0.8 * fetched.maxAgeMs) void this.#attempt();
  }

  seed(jwks: string, ageMs: number): void {
    const set = this.#fetched === undefined ? parseKeySet(jwks) : undefined;
    if (set === undefined) return;
    this.#fetched = { set, jwks, atMs: this.#context.clock.monotonic() - ageMs, maxAgeMs: MAX_AGE_DEFAULT_MS };
  }

  status(): JwksStatus {
    const ageMs = this.#fetched === undefined ? undefined : this.#ageOf(this.#fetched);
    return { issuer: this.#issuer, kids: this.#fetched?.set.kids ?? [], ageMs, lastError: this.#lastError };
  }

  toSeed(): JwksSeed | undefined {
    if (this.#fetched === undefined) return undefined;
    const fetchedAtMs = this.#context.clock.now() - this.#ageOf(this.#fetched);
    return { issuer: this.#issuer, url: this.#url, jwks: this.#fetched.jwks, fetchedAtMs };
  }

  #ageOf(fetched: Fetched): number {
    return this.#context.clock.monotonic() - fetched.atMs;
  }

  /** Stale keys serve while the issuer is down, but not for ever: a withdrawn key must die some day. */
  #usable(): KeySet | undefined {
    const fetched = this.#fetched;
    return fetched !== undefined && this.#ageOf(fetched) < STALE_MAX_MS ? fetched.set : undefined;
  }

  /** Joins the fetch under way, or starts one if the budget allows; never rejects. */
  async #attempt(): Promise<void> {
    const isCoolingDown = this.#context.clock.monotonic() - this.#attemptedAtMs < COOLDOWN_MS;
    if (this.#inFlight === undefined && isCoolingDown) return;
    await this.refresh();
  }

  async #fetch(): Promise<void> {
    const { fetchJson, clock, log } = this.#context;
    this.#attemptedAtMs = clock.monotonic();
    try {
      const options = { timeoutMs: TIMEOUT_MS, maxBytes: BODY_MAX_BYTES, allowPrivate: this.#allowPrivate };
      const answer = await fetchJson(this.#url, { ...options, signal: this.#signal });
      this.#accept(answer);
      this.#lastError = undefined;
    } catch (cause) {
      this.#lastError = cause instanceof ConduitError ? cause.detail : "The key set could not be fetched";
      if (!this.#signal.aborted) log.warn({ issuer: this.#issuer, err: cause }, "fetching the issuer's keys failed");
    }
  }

  #accept(answer: FetchedDocument): void {
    if (answer.status !== 200) throw invalid(`The issuer's keys were answered with status ${answer.status}`);
    const isSame = this.#fetched?.jwks === answer.body;
    // The same text keeps the same object: verified tokens stay cached over an uneventful refresh.
    const set = isSame ? this.#fetched?.set : parseKeySet(answer.body);
    if (set === undefined) throw invalid("The issuer's keys are not a JWK set");
    const maxAgeMs = maxAgeOf(answer.headers["cache-control"]);
    this.#fetched = { set, jwks: answer.body, atMs: this.#context.clock.monotonic(), maxAgeMs };
  }
}

const invalid = (detail: string): ConduitError => new ConduitError("upstream_invalid", { detail });

/** RFC 9111 5.2.2 within our bounds; `no-store` and `no-cache` mean the shortest time. */
function maxAgeOf(cacheControl: string | undefined): number {
  if (cacheControl === undefined) return MAX_AGE_DEFAULT_MS;
  const [minMs, maxMs] = MAX_AGE_BOUNDS_MS;
  if (/\bno-(?:store|cache)\b/i.test(cacheControl)) return minMs;
  const seconds = /(?:^|[\s,])max-age="?(\d{1,10})/i.exec(cacheControl)?.[1];
  return seconds === undefined ? MAX_AGE_DEFAULT_MS : Math.min(Math.max(Number(seconds) * 1000, minMs), maxMs);
}

/** All sources of a process. They outlive the compiled issuers: a changed link does not fetch its issuers' keys anew. */
export class JwksSources {
  readonly #context: JwksContext;
  readonly #byKey = new Map<string, JwksSource>();
  readonly #closing = new AbortController();

  constructor(context: JwksContext) {
    this.#context = context;
  }

  /** The source of one issuer. Another issuer with the same URL has its own: tenants never share keys or budgets. */
  of(issuer: string, url: string, allowPrivate: boolean): KeySource {
    const key = `${issuer}\n${allowPrivate}\n${url}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const source = new JwksSource(this.#context, issuer, url, allowPrivate, this.#closing.signal);
    const older = [...this.#byKey.keys()].filter((it) => it.startsWith(`${issuer}\n`));
    for (const gone of older.slice(0, Math.max(0, older.length + 1 - SOURCES_PER_ISSUER))) this.#byKey.delete(gone);
    this.#byKey.set(key, source);
    return source;
  }

  /** Forgets sources of issuers that are gone. @param issuers names of those that remain */
  retain(issuers: ReadonlySet<string>): void {
    for (const key of this.#byKey.keys()) {
      if (!issuers.has(key.slice(0, key.indexOf("\n")))) this.#byKey.delete(key);
    }
  }

  /** To be called every few seconds: fetches sets before they are too old. */
  refreshDue(): void {
    for (const source of this.#byKey.values()) source.refreshIfDue();
  }

  /** Fetches one issuer's keys at once, whatever the cooldown says. */
  async refresh(issuer: string): Promise<void> {
    await Promise.all(this.#ofIssuer(issuer).map((source) => source.refresh()));
  }

  status(): readonly JwksStatus[] {
    return [...this.#byKey.values()].map((source) => source.status());
  }

  /** What to keep over a restart. */
  toSeeds(): readonly JwksSeed[] {
    return [...this.#byKey.values()].map((source) => source.toSeed()).filter((seed) => seed !== undefined);
  }

  /** Gives a new source the set it had before a restart; its age counts on. A clock behind the seed's makes it new. */
  seed({ issuer, url, jwks, fetchedAtMs }: JwksSeed): void {
    const ageMs = Math.max(0, this.#context.clock.now() - fetchedAtMs);
    for (const [key, source] of this.#byKey) {
      if (key.startsWith(`${issuer}\n`) && key.endsWith(`\n${url}`)) source.seed(jwks, ageMs);
    }
  }

  /** Aborts fetches under way; for shutdown. */
  close(): void {
    this.#closing.abort();
  }

  #ofIssuer(issuer: string): JwksSource[] {
    return [...this.#byKey].filter(([key]) => key.startsWith(`${issuer}\n`)).map(([, source]) => source);
  }
}
