import { encodeJsonPart, importHs256 } from "../server/hs256.ts";

/** Signs tokens of tests, and nothing else: anyone can read it here. */
export const TEST_SECRET = "conduit-link test secret, known to everyone";

/** What token to make. */
export interface MakeTokenOptions {
  /** Claims beside `sub` (default `user-123`), `iat`, `exp` and `jti`, or in their place; `undefined` leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Its `exp` is a minute ago. Default false. */
  readonly expired?: boolean;
  /** Its payload was changed after it was signed. Default false. */
  readonly tampered?: boolean;
  /** Seconds until `exp`. Default 900. */
  readonly expiresInSeconds?: number;
  /** The HS256 secret, at least 32 bytes. Default {@link TEST_SECRET}. */
  readonly secret?: string | Uint8Array;
  /** Tells `iat`. Default: the wall clock. */
  readonly clock?: { now(): number };
}

/** A user's JWT, signed by HS256: `await makeToken({ claims: { sub: "123", role: "admin" } })`. Throws `TypeError` for a short secret. */
export async function makeToken(options: MakeTokenOptions = {}): Promise<string> {
  const {
    claims,
    expired = false,
    tampered = false,
    expiresInSeconds = 900,
    secret = TEST_SECRET,
    clock = Date,
  } = options;
  const now = Math.floor(clock.now() / 1000);
  const iat = expired ? now - expiresInSeconds - 60 : now;
  const payload = { sub: "user-123", iat, exp: iat + expiresInSeconds, jti: crypto.randomUUID(), ...claims };
  const header = encodeJsonPart({ alg: "HS256", typ: "JWT" });
  const input = `${header}.${encodeJsonPart(payload)}`;
  const signature = await (await importHs256(secret)).sign(input);
  return `${tampered ? `${header}.${encodeJsonPart({ ...payload, tampered: true })}` : input}.${signature}`;
}
