import { createHash } from "node:crypto";
import type { Log } from "../../log.ts";
import type { SecretText } from "../../model/secret-text.ts";
import { generateToken } from "../../model/token-string.ts";
import type { Random } from "../../random.ts";
import type { ControlClient } from "./control-client.ts";
import { refusalReasonOf } from "./refusal-reason.ts";

/** Where the credentials are kept. What a method has written is on the disk when it returns. */
export interface CredentialFiles {
  /** Keeps the next credential beside the current one. */
  keepNext(next: SecretText): void;
  /** The next one takes the place of the current one, in one step. */
  promoteNext(): void;
}

/** What a proxy has at its start. */
export interface HeldCredential {
  readonly credential: SecretText;
  /** Left by a rotation that was cut short. */
  readonly nextCredential?: SecretText | undefined;
  /** Undefined = the credential is the operator's to replace (environment). */
  readonly credentialFiles?: CredentialFiles | undefined;
}

export interface RotationEffects {
  readonly random: Random;
  readonly log: Log;
  /** Seals what is on disk under another credential; whether it was done. */
  reseal(credential: SecretText): Promise<boolean>;
}

/**
 * Replaces this proxy's credential. The next one is made here and is on disk before the control plane hears of its hash;
 * the old one leaves the disk only after the next was accepted and everything is sealed under it. So whenever the process is
 * killed, one of the two on disk is accepted and one of the two opens the snapshot; the next start goes on from there.
 */
export class CredentialRotation {
  readonly #files: CredentialFiles | undefined;
  readonly #effects: RotationEffects;
  #next: SecretText | undefined;
  #sent: SecretText;
  #running: Promise<void> | undefined;

  constructor({ credential, nextCredential, credentialFiles }: HeldCredential, effects: RotationEffects) {
    this.#next = nextCredential;
    this.#sent = credential;
    this.#files = credentialFiles;
    this.#effects = effects;
  }

  /** The credential to send now. */
  get sent(): SecretText {
    return this.#sent;
  }

  /** Whether one was begun and is not finished: to be gone on with. */
  get isUnfinished(): boolean {
    return this.#next !== undefined;
  }

  /** Rotates, or goes on rotating; one at a time. What fails is told in the log and tried again by the next call. */
  rotate(client: ControlClient): Promise<void> {
    this.#running ??= this.#rotate(client)
      .catch((err: unknown) => {
        this.#effects.log.warn({ err }, "the proxy's credential could not be replaced; tried again");
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #rotate(client: ControlClient): Promise<void> {
    const { random, log, reseal } = this.#effects;
    const files = this.#files;
    if (files === undefined) return;
    const isFresh = this.#next === undefined;
    const next = this.#next ?? generateToken("proxyCredential", random);
    if (isFresh) files.keepNext(next);
    this.#next = next;
    await this.#register(client, next, isFresh);
    await this.#confirm(client, next);
    if (!(await reseal(next))) throw new Error("what is on disk could not be sealed under the next credential");
    files.promoteNext();
    this.#next = undefined;
    log.info({}, "the proxy has replaced its credential");
  }

  /** A refusal is fine when the next one has been used before this process began: the old one counts no more then. */
  async #register(client: ControlClient, next: SecretText, isFresh: boolean): Promise<void> {
    if (this.#sent === next) return;
    try {
      await client.rotateCredential(sha256(next));
    } catch (cause) {
      if (isFresh || refusalReasonOf(cause) !== "CREDENTIAL_INVALID") throw cause;
    }
  }

  /** First use: from then on the old one is refused. Also shows that the next one is accepted. */
  async #confirm(client: ControlClient, next: SecretText): Promise<void> {
    const before = this.#sent;
    this.#sent = next;
    try {
      await client.rotateCredential(sha256(next));
    } catch (cause) {
      this.#sent = before;
      throw cause;
    }
  }
}

const sha256 = (credential: SecretText): Uint8Array => createHash("sha256").update(credential.reveal()).digest();
