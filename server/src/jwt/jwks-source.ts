import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { ConduitError } from "../model/errors.ts";
import type { IssuerKeyStatus } from "../model/issuer.ts";
import type { FetchedDocument, FetchJson } from "../outbound/capped-fetch.ts";
import { discoveryUrlOf, readJwksUri } from "./discovery.ts";
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
/** How long what a discovery document said is believed while its keys can be fetched. */
const LOCATION_MAX_MS = 24 * 3_600_000;
/** Of one attempt, discovery included. */
const TIMEOUT_MS = 5_000;
const BODY_MAX_BYTES = 1024 * 1024;
const KIDS_SHOWN = 20;
const KID_SHOWN_LENGTH = 128;

/** What sources need from outside. */
export interface JwksContext {
  readonly fetchJson: FetchJson;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where keys are fetched from, and how. */
export interface JwksAddress {
  /** Resource name of the issuer. */
  readonly issuer: string;
  readonly kind: "jwks_url" | "oidc_discovery";
  readonly url: string;
  readonly allowPrivate: boolean;
  /** PEM; undefined = the system's authorities. */
  readonly caCertificates: string | undefined;
}

/** A fetched set as it is kept over a restart. */
export interface JwksSeed {
  readonly issuer: string;
  readonly url: string;
  readonly jwks: string;
  /** Wall clock, milliseconds since the epoch. */
  readonly fetchedAtMs: number;
  /** The wish to refresh that this fetch has met. */
  readonly refreshTimeMs?: number;
}

interface Fetched {
  readonly set: KeySet;
  readonly jwks: string;
  /** Monotonic clock. */
  readonly atMs: number;
  /** Wall clock, for people. */
  readonly timeMs: number;
  readonly maxAgeMs: number;
  readonly refreshTimeMs: number | undefined;
}

/** Keys that are fetched, under the policy of design.md 8. Ages are measured on the monotonic clock. */
export class JwksSource implements KeySource {
  readonly #context: JwksContext;
  readonly #address: JwksAddress;
  readonly #signal: AbortSignal;
  #fetched: Fetched | undefined;
  /** What discovery said last. */
  #location: { readonly url: string; readonly atMs: number } | undefined;
  #attemptedAtMs = Number.NEGATIVE_INFINITY;
  #usedAtMs = Number.NEGATIVE_INFINITY;
  #lastError: string | undefined;
  #inFlight: Promise<void> | undefined;
  #refreshTimeMs: number | undefined;

  constructor(context: JwksContext, address: JwksAddress, signal: AbortSignal) {
    this.#context = context;
    this.#address = address;
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

  isUnreachable(): boolean {
    return this.#lastError !== undefined;
  }

  /** Someone wants the keys fetched anew, since then. A set that was fetched for the same wish is not fetched again. */
  wish(refreshTimeMs: number | undefined): void {
    this.#refreshTimeMs = refreshTimeMs;
    if (this.#isRefreshWished()) void this.#attempt();
  }

  /** Starts a fetch when it is wished for, or when the set will be too old soon and is in use: no request has to wait. */
  refreshIfDue(): void {
    const fetched = this.#fetched;
    if (fetched === undefined) return;
    const isAgeing = this.#usedAtMs >= fetched.atMs && this.#ageOf(fetched) >= 0.8 * fetched.maxAgeMs;
    if (isAgeing || this.#isRefreshWished()) void this.#attempt();
  }

  seed({ jwks, refreshTimeMs, fetchedAtMs }: JwksSeed, ageMs: number): void {
    const set = this.#fetched === undefined ? parseKeySet(jwks) : undefined;
    if (set === undefined) return;
    const atMs = this.#context.clock.monotonic() - ageMs;
    this.#fetched = { set, jwks, atMs, timeMs: fetchedAtMs, maxAgeMs: MAX_AGE_DEFAULT_MS, refreshTimeMs };
  }

  /** Undefined while nothing was ever attempted. */
  status(): IssuerKeyStatus | undefined {
    const fetched = this.#fetched;
    if (fetched === undefined && this.#lastError === undefined) return undefined;
    const kids = (fetched?.set.kids ?? []).slice(0, KIDS_SHOWN).map((kid) => kid.slice(0, KID_SHOWN_LENGTH));
    return {
      issuer: this.#address.issuer,
      kids,
      lastError: this.#lastError ?? "",
      ...(fetched !== undefined && { fetchTimeMs: fetched.timeMs }),
      nextTryTimeMs: this.#wallTime(this.#nextTryAtMs()),
    };
  }

  toSeed(): JwksSeed | undefined {
    const fetched = this.#fetched;
    if (fetched === undefined) return undefined;
    const { issuer, url } = this.#address;
    const { jwks, refreshTimeMs } = fetched;
    const fetchedAtMs = this.#wallTime(fetched.atMs);
    return { issuer, url, jwks, fetchedAtMs, ...(refreshTimeMs !== undefined && { refreshTimeMs }) };
  }

  /** Monotonic. A failure is tried again when the cooldown is over, a set when it is too old. */
  #nextTryAtMs(): number {
    const coolAtMs = Math.max(this.#context.clock.monotonic(), this.#attemptedAtMs + COOLDOWN_MS);
    const fetched = this.#fetched;
    if (fetched === undefined || this.#lastError !== undefined || this.#isRefreshWished()) return coolAtMs;
    return Math.max(coolAtMs, fetched.atMs + fetched.maxAgeMs);
  }

  #wallTime(monotonicMs: number): number {
    const { clock } = this.#context;
    return Math.round(clock.now() - clock.monotonic() + monotonicMs);
  }

  #ageOf(fetched: Fetched): number {
    return this.#context.clock.monotonic() - fetched.atMs;
  }

  #isRefreshWished(): boolean {
    return this.#fetched !== undefined && this.#fetched.refreshTimeMs !== this.#refreshTimeMs;
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
    this.#inFlight ??= this.#fetch().finally(() => {
      this.#inFlight = undefined;
    });
    await this.#inFlight;
  }

  async #fetch(): Promise<void> {
    const { clock, log } = this.#context;
    const { issuer, kind, url } = this.#address;
    this.#attemptedAtMs = clock.monotonic();
    const refreshTimeMs = this.#refreshTimeMs;
    try {
      const answer = await this.#get(kind === "jwks_url" ? url : await this.#discover(url));
      this.#accept(answer, refreshTimeMs);
      this.#lastError = undefined;
    } catch (cause) {
      // The keys may have moved: the next attempt asks for their address again.
      this.#location = undefined;
      this.#lastError = cause instanceof ConduitError ? cause.detail : "The key set could not be fetched";
      if (!this.#signal.aborted) log.warn({ issuer, err: cause }, "fetching the issuer's keys failed");
    }
  }

  async #discover(url: string): Promise<string> {
    const atMs = this.#context.clock.monotonic();
    const known = this.#location;
    if (known !== undefined && atMs - known.atMs < LOCATION_MAX_MS && !this.#isRefreshWished()) return known.url;
    const found = readJwksUri(await this.#get(discoveryUrlOf(url)), url);
    this.#location = { url: found, atMs };
    return found;
  }

  #get(url: string): Promise<FetchedDocument> {
    const { allowPrivate, caCertificates } = this.#address;
    const timeoutMs = Math.max(1, Math.ceil(this.#attemptedAtMs + TIMEOUT_MS - this.#context.clock.monotonic()));
    return this.#context.fetchJson(url, {
      ...{ timeoutMs, maxBytes: BODY_MAX_BYTES, allowPrivate, signal: this.#signal },
      ...(caCertificates !== undefined && { caCertificates }),
    });
  }

  #accept(answer: FetchedDocument, refreshTimeMs: number | undefined): void {
    if (answer.status !== 200) throw invalid(`The issuer's keys were answered with status ${answer.status}`);
    const isSame = this.#fetched?.jwks === answer.body;
    // The same text keeps the same object: verified tokens stay cached over an uneventful refresh.
    const set = isSame ? this.#fetched?.set : parseKeySet(answer.body);
    if (set === undefined) throw invalid("The issuer's keys are not a JWK set");
    const { clock } = this.#context;
    const maxAgeMs = maxAgeOf(answer.headers["cache-control"]);
    const [atMs, timeMs] = [clock.monotonic(), clock.now()];
    this.#fetched = { set, jwks: answer.body, atMs, timeMs, maxAgeMs, refreshTimeMs };
  }
}

/** Short text that differs when a seed is worth keeping anew: other keys, or the same ones fetched in another hour. */
export function seedMark({ issuer, url, jwks, fetchedAtMs, refreshTimeMs }: JwksSeed): string {
  const digest = createHash("sha256").update(jwks).digest("base64url");
  return `${issuer} ${url} ${digest} ${Math.floor(fetchedAtMs / 3_600_000)} ${refreshTimeMs ?? ""}`;
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
