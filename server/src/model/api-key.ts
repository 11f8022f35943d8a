/** What a credential may do (contract.md 9). */
export type Role = "viewer" | "minter" | "editor" | "owner" | "operator";

/** Which roles include which: a row's role may do what any of its columns may. Minter only mints. */
const INCLUDES: Record<Role, readonly Role[]> = {
  viewer: ["viewer"],
  minter: ["minter"],
  editor: ["editor", "viewer", "minter"],
  owner: ["owner", "editor", "viewer", "minter"],
  operator: ["operator", "owner", "editor", "viewer", "minter"],
};

/** Whether a credential of role `held` may do what needs role `needed`. */
export const hasRole = (held: Role, needed: Role): boolean => INCLUDES[held].includes(needed);

/** Who calls the API: the owner of a verified API key. */
export interface Principal {
  /** Resource name of the key. */
  readonly apiKey: string;
  readonly role: Role;
  /** The only project it may touch; undefined = all (operator). */
  readonly project?: string;
  /** Longest life of the access tokens it mints; undefined = the project's. */
  readonly tokenLifetimeMaxMs?: number;
}

/** A key as the API shows it: its text is known to nobody. */
export interface ApiKey {
  /** `projects/{project}/apiKeys/{key}`, or `apiKeys/{key}` for an operator's. */
  readonly name: string;
  readonly displayName: string;
  readonly role: Role;
  /** First characters, to recognise it. */
  readonly hint: string;
  /** Milliseconds since the epoch; undefined = never. */
  readonly expireTimeMs?: number;
  /** Longest life of the access tokens it mints; undefined = the project's. */
  readonly tokenLifetimeMaxMs?: number;
  /** Addresses and networks; empty = from anywhere. */
  readonly allowedAddresses: readonly string[];
  /** Undefined = the default. */
  readonly requestsPerMinute?: number;
  /** Undefined = never. */
  readonly lastUseTimeMs?: number;
  /** Until when the text before the last rotation counts too; undefined = there is none. */
  readonly previousExpireTimeMs?: number;
}
