/** What a revocation withdraws. Names of links and issuers are resource names; times are milliseconds since the epoch. */
export type RevocationTarget =
  /** One token, by `jti`. */
  | { readonly kind: "token"; readonly project: string; readonly id: string }
  /** All tokens of one session, by `sid`. */
  | { readonly kind: "session"; readonly project: string; readonly id: string }
  /** A person's tokens issued until then. `issuer` "" = any of the project's. */
  | {
      readonly kind: "subject";
      readonly project: string;
      readonly issuer: string;
      readonly subject: string;
      readonly issuedBeforeMs: number;
    }
  | { readonly kind: "issuer"; readonly issuer: string; readonly issuedBeforeMs: number }
  | { readonly kind: "link"; readonly link: string; readonly issuedBeforeMs: number }
  /** Everything signed with one key. */
  | { readonly kind: "key"; readonly issuer: string; readonly kid: string };

export interface Revocation {
  readonly target: RevocationTarget;
  /** From then on it stops counting, by the clock. */
  readonly expireTimeMs: number;
}

/** What of a verified token can be revoked. */
export interface RevocableToken {
  readonly project: string;
  readonly link: string;
  readonly issuer: string;
  readonly kid: string | undefined;
  readonly jti: string | undefined;
  readonly sid: string | undefined;
  readonly sub: string | undefined;
  /** Seconds since the epoch. */
  readonly iat: number | undefined;
}

/** Exact look-ups: no false positives, no scan. Several revocations of one target stand side by side under their names. */
export class RevocationIndex {
  readonly #byKey = new Map<string, Map<string, Revocation>>();
  readonly #keyOfName = new Map<string, string>();

  /** Number of revocations held. */
  get size(): number {
    return this.#keyOfName.size;
  }

  /** Adds or replaces a revocation under its resource name. */
  set(name: string, revocation: Revocation): void {
    this.delete(name);
    const key = keyOfTarget(revocation.target);
    const named = this.#byKey.get(key);
    if (named === undefined) this.#byKey.set(key, new Map([[name, revocation]]));
    else named.set(name, revocation);
    this.#keyOfName.set(name, key);
  }

  delete(name: string): void {
    const key = this.#keyOfName.get(name);
    if (key === undefined) return;
    this.#keyOfName.delete(name);
    const named = this.#byKey.get(key);
    named?.delete(name);
    if (named?.size === 0) this.#byKey.delete(key);
  }

  /** Whether a revocation that has not expired applies to the token. */
  isRevoked(token: RevocableToken, nowMs: number): boolean {
    if (this.#keyOfName.size === 0) return false;
    return keysOfToken(token).some((key) => {
      for (const revocation of this.#byKey.get(key)?.values() ?? []) {
        if (nowMs < revocation.expireTimeMs && applies(revocation.target, token)) return true;
      }
      return false;
    });
  }
}

/** `issued before` refuses `iat ≤ T` in whole seconds, and tokens that do not say when they were issued. */
function applies(target: RevocationTarget, { iat }: RevocableToken): boolean {
  if (!("issuedBeforeMs" in target)) return true;
  return iat === undefined || Math.floor(iat) <= Math.floor(target.issuedBeforeMs / 1000);
}

/** One text per target; what a token's signer chooses stands last, so that no claim can imitate another target. */
function keyOfTarget(target: RevocationTarget): string {
  switch (target.kind) {
    case "token":
    case "session":
      return `${target.kind}\n${target.project}\n${target.id}`;
    case "subject":
      return `subject\n${target.project}\n${target.issuer}\n${target.subject}`;
    case "issuer":
      return `issuer\n${target.issuer}`;
    case "link":
      return `link\n${target.link}`;
    case "key":
      return `key\n${target.issuer}\n${target.kid}`;
  }
}

function keysOfToken({ project, link, issuer, kid, jti, sid, sub }: RevocableToken): string[] {
  const keys = [`issuer\n${issuer}`, `link\n${link}`];
  if (jti !== undefined) keys.push(`token\n${project}\n${jti}`);
  if (sid !== undefined) keys.push(`session\n${project}\n${sid}`);
  if (sub !== undefined) keys.push(`subject\n${project}\n${issuer}\n${sub}`, `subject\n${project}\n\n${sub}`);
  if (kid !== undefined) keys.push(`key\n${issuer}\n${kid}`);
  return keys;
}
