import type { Log } from "../../log.ts";
import type { IssuerKeyStatus } from "../../model/issuer.ts";
import type { RejectedResource } from "../../model/proxy.ts";
import type { Random } from "../../random.ts";
import { keyStatusToProto } from "../../wire/issuer.ts";
import { fraction } from "./backoff.ts";
import type { ControlClient } from "./control-client.ts";
import type { ConfigCursor } from "./state.ts";

/** What is reported; read at the moment of sending, so that only the newest goes out. */
export interface ReportedState {
  readonly cursor: ConfigCursor | undefined;
  /** Complete list. */
  readonly rejected: readonly RejectedResource[];
  readonly issuerKeys: readonly IssuerKeyStatus[];
}

export interface ReporterEffects {
  /** The control plane wants another credential of this proxy. */
  readonly onRotationDue?: (client: ControlClient) => void;
  readonly log: Log;
  readonly random: Random;
}

/** Acknowledgements go out at most this often; rejections at once. */
const REST_MS = 1_000;
/** The first after a rest goes out at a random moment within this time: a thousand proxies apply one change at once. */
const SPREAD_MS = 50;
/** A proxy that has nothing to say says so: one that is not heard of is not counted on (three of these). */
const SIGN_OF_LIFE_MS = 10_000;
/** `ReportConfigStatusRequest.rejected` takes no more, each with a text of at most 500 characters. */
const REJECTED_MAX = 1_000;
const MESSAGE_MAX = 500;
/** `ReportConfigStatusRequest.issuer_keys` takes no more; those in trouble go first. */
const ISSUERS_MAX = 500;

/** Tells the control plane what is applied and what was rejected. A lost report is made good by the next. */
export class StatusReporter {
  readonly #proxyVersion: string;
  readonly #log: Log;
  readonly #random: Random;
  readonly #onRotationDue: (client: ControlClient) => void;
  readonly #state: () => ReportedState;
  #client: ControlClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isSending = false;
  #isResting = false;
  #isDue = false;
  #rejectedBefore = "";
  #keysBefore = "";

  constructor(proxyVersion: string, { log, random, onRotationDue }: ReporterEffects, state: () => ReportedState) {
    this.#proxyVersion = proxyVersion;
    this.#log = log;
    this.#random = random;
    this.#onRotationDue = onRotationDue ?? (() => undefined);
    this.#state = state;
  }

  /** A new stream: this replica gets the reports from now on. */
  reportTo(client: ControlClient): void {
    this.#client = client;
    this.stateChanged();
  }

  stateChanged(): void {
    this.#isDue = true;
    const rejected = this.#state()
      .rejected.map(({ name, version }) => `${name}@${version}`)
      .join();
    const isNew = rejected !== this.#rejectedBefore;
    this.#rejectedBefore = rejected;
    if (isNew) this.#send();
    else if (!this.#isSending && !this.#isResting) this.#sendAfter(fraction(this.#random) * SPREAD_MS);
  }

  /** To be called every few seconds: reports when an issuer's keys were fetched, or could not be. */
  keysMayHaveChanged(): void {
    const { issuerKeys } = this.#state();
    const keys = issuerKeys
      .map(({ issuer, fetchTimeMs, lastError }) => `${issuer} ${fetchTimeMs} ${lastError}`)
      .join("\n");
    if (keys === this.#keysBefore) return;
    this.#keysBefore = keys;
    this.stateChanged();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#client = undefined;
  }

  #sendAfter(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(), delayMs);
  }

  /** After a report: the next when there is something to say, else the sign of life. */
  #rest(): void {
    if (this.#client === undefined) return;
    this.#isResting = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isResting = false;
      if (this.#isDue) this.#send();
      else this.#sendAfter(SIGN_OF_LIFE_MS - REST_MS);
    }, REST_MS);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#isResting = false;
    const { cursor, rejected, issuerKeys } = this.#state();
    const client = this.#client;
    if (client === undefined || cursor === undefined || this.#isSending) return;
    this.#isSending = true;
    this.#isDue = false;
    const { epoch, sequence, digest } = cursor;
    client
      .reportStatus({
        applied: { epoch, sequence, stateDigest: digest },
        rejected: rejected.slice(0, REJECTED_MAX).map(({ name, version, message }) => ({
          name,
          version: BigInt(version),
          message: message.slice(0, MESSAGE_MAX),
        })),
        proxyVersion: this.#proxyVersion,
        issuerKeys: troubledFirst(issuerKeys)
          .slice(0, ISSUERS_MAX)
          .map((status) => ({ issuer: status.issuer, status: keyStatusToProto(status) })),
      })
      .then((isRotationDue) => {
        if (isRotationDue) this.#onRotationDue(client);
      })
      .catch((err: unknown) => {
        this.#isDue = true;
        this.#log.debug({ err }, "the configuration status could not be reported");
      })
      .finally(() => {
        this.#isSending = false;
        this.#rest();
      });
  }
}

const troubledFirst = (all: readonly IssuerKeyStatus[]): readonly IssuerKeyStatus[] => [
  ...all.filter(({ lastError }) => lastError !== ""),
  ...all.filter(({ lastError }) => lastError === ""),
];
