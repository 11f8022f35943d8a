// Who may log in. A real back end has a table for this; the hashing is the part to copy.
import { randomBytes, randomUUID, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt);

/** 32 MiB and about 0.1 s for each guess (OWASP: N = 2^15, r = 8, p = 3). */
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 };
const KEY_BYTES = 32;

export interface User {
  /** Subject of the user's tokens: never changes, is never given to another. */
  readonly id: string;
  readonly email: string;
}

interface StoredUser extends User {
  salt: Buffer;
  hash: Buffer;
}

/** Users in memory, by e-mail address. */
export class Users {
  readonly #byEmail = new Map<string, StoredUser>();
  /** What an unknown address is compared with, so that it takes as long as a known one. */
  readonly #nobody: Promise<StoredUser> = newUser("nobody", randomUUID());

  async add(email: string, password: string): Promise<User> {
    const user = await newUser(email, password);
    this.#byEmail.set(email, user);
    return user;
  }

  /** The user with this address and password; undefined = there is none, and nothing says which of the two was wrong. */
  async find(email: string, password: string): Promise<User | undefined> {
    const known = this.#byEmail.get(email);
    const { salt, hash } = known ?? (await this.#nobody);
    const isRight = timingSafeEqual(await derive(password, salt, KEY_BYTES, COST), hash);
    return isRight ? known : undefined;
  }

  async setPassword({ email }: User, password: string): Promise<void> {
    const user = this.#byEmail.get(email);
    if (user !== undefined) Object.assign(user, await hashOf(password));
  }
}

async function newUser(email: string, password: string): Promise<StoredUser> {
  return { id: randomUUID(), email, ...(await hashOf(password)) };
}

async function hashOf(password: string): Promise<{ salt: Buffer; hash: Buffer }> {
  const salt = randomBytes(16);
  return { salt, hash: await derive(password, salt, KEY_BYTES, COST) };
}
