import { within } from "../abort.ts";
import type { GetToken, Grant, RefreshContext, TokenSource } from "../grant.ts";
import { parseGrant } from "../grant.ts";
import { defaultPlatform, type Platform } from "../platform.ts";
import { type Channel, documentChannels, type OpenChannel } from "./channel.ts";
import { documentLocks, exclusively, type Locks } from "./lock.ts";
import { grantOf, parseRecord, recordOf, type SessionRecord } from "./record.ts";
import type { RefreshSource } from "./refresh-source.ts";
import { endOf, nextRecord, type RotationParts, replaceRecord } from "./rotation.ts";
import type { TokenStore } from "./store.ts";

const beginTimeoutMs = 10_000;

/** The runtime of a session: replace parts of it in tests. */
export interface SessionPlatform extends Platform {
  /** Default: the Web Locks of documents, none elsewhere. */
  readonly locks: Locks | undefined;
  /** Default: the BroadcastChannels of documents, none elsewhere. */
  readonly openChannel: OpenChannel | undefined;
}

/** Options of {@link createSession}. */
export interface SessionOptions {
  /** Where the session is kept. */
  readonly store: TokenStore;
  /** Where the next token comes from. */
  readonly refresh: RefreshSource | GetToken;
  /** Names lock and channel; the same for all who share the store. Default `conduit.session`. */
  readonly name?: string;
  /** How long to wait for another tab's refresh, in ms. Default 5,000. */
  readonly lockTimeoutMs?: number;
  /** Replaces parts of the runtime, for tests. */
  readonly platform?: Partial<SessionPlatform>;
}

/** What a session needs of a `TokenManager`. */
export interface FedTokens {
  setToken(grant: Grant): void;
  clear(): void;
}

/** A session in a store: pass it to `createConduit` as `getToken`, in every tab. */
export interface Session extends TokenSource<FedTokens> {
  attach(tokens: FedTokens): () => void;
  /**
   * Keeps the tokens of a login (with its refresh token, if any) for all tabs, instead of whatever session there was. Rejects when they cannot
   * be kept, `TypeError` for what is no grant.
   */
  signIn(grant: Grant): Promise<void>;
  /**
   * Ends the session here and in all tabs, then at its server, so that every proxy refuses its tokens. Rejects when the store or the server
   * could not be told; this client has forgotten the token in any case. `conduit.signOut()` does the same.
   */
  signOut(): Promise<void>;
}

/** A session while it is used. */
interface Shared extends RotationParts {
  readonly platform: SessionPlatform;
  readonly name: string;
  readonly lockTimeoutMs: number;
  readonly fed: Set<FedTokens>;
  /** How often somebody else has told of a change, or somebody signed in or out here. */
  changes: number;
  /** The session whose tokens the clients hold, and which token. */
  session?: string | undefined;
  token?: string | undefined;
  /** What was signed out of here, should the store not have heard of it. */
  left?: string | undefined;
  /** The last sign-in or sign-out of this client, until it is in the store. */
  turn?: Promise<unknown>;
  channel?: Channel | undefined;
  unsubscribe?: (() => void) | undefined;
}

/**
 * A session shared by tabs, processes and restarts. One tab refreshes, the others take over what it got; a sign-out or another person's
 * sign-in is followed at once where there is a channel (documents) or the store tells, else at the next refresh. A store that cannot be read
 * means unknown: the call fails and may be tried again, nobody is signed out. Does nothing until it is used. Throws `TypeError` without
 * `store` or `refresh`.
 */
export function createSession(options: SessionOptions): Session {
  const { store, refresh, name = "conduit.session", lockTimeoutMs = 5000 } = options;
  if (!store?.swap) throw new TypeError("store must be a TokenStore");
  if (!refresh) throw new TypeError("refresh must be a source of tokens");
  const shared: Shared = {
    store,
    source: typeof refresh === "function" ? { getToken: refresh } : refresh,
    platform: { ...defaultPlatform, locks: documentLocks(), openChannel: documentChannels(), ...options.platform },
    name,
    lockTimeoutMs,
    fed: new Set(),
    changes: 0,
    announce: () => shared.channel?.announce(),
  };
  return {
    getToken: (context) => renew(shared, context),
    attach(tokens) {
      shared.fed.add(tokens);
      return () => {
        shared.fed.delete(tokens);
        if (shared.fed.size === 0) stopListening(shared);
      };
    },
    signIn: (grant) => signIn(shared, grant),
    signOut: () => signOut(shared),
  };
}

async function renew(shared: Shared, context: RefreshContext): Promise<Grant | null> {
  listen(shared);
  const { session, platform, name, lockTimeoutMs } = shared;
  const lock = { locks: platform.locks, platform, name, timeoutMs: lockTimeoutMs };
  let changes: number;
  let record: SessionRecord | undefined;
  do {
    changes = shared.changes;
    await shared.turn;
    record = await exclusively(lock, context.signal, () => nextRecord(shared, context));
    // A sign-out that came while this was read must not be undone by it.
  } while (changes !== shared.changes);
  if (record?.session === shared.left) record = undefined;
  const isOther = session !== undefined && record !== undefined && record.session !== session;
  if (isOther || context.signal.aborted) {
    // Who asked does not listen any more, or was here before the person changed: what came is for the clients as they are now.
    show(shared, record ?? endOf(undefined));
    return null;
  }
  shared.token = record?.token;
  // Whoever signs in next is somebody else for the clients that did not ask, so the one who has left stays noted.
  if (record === undefined) return null;
  shared.session = record.session;
  return grantOf(record, platform.now()) ?? record.token ?? null;
}

/** Sign-ins and sign-outs of this client come one after the other, and no token is asked for meanwhile. `isLast`: none waits behind this one. */
function inTurn<T>(shared: Shared, work: (isLast: () => boolean) => Promise<T>): Promise<T> {
  shared.changes++;
  const done = Promise.resolve(shared.turn).then(() => work(() => shared.turn === turn));
  const turn: Promise<unknown> = done.catch(() => {});
  shared.turn = turn;
  return done;
}

async function signIn(shared: Shared, grant: Grant): Promise<void> {
  listen(shared);
  const { platform, store, source } = shared;
  const login = parseGrant(grant);
  await inTurn(shared, async (isLast) => {
    const begun = source.begin ? await within(platform, source.begin(login), beginTimeoutMs) : grant;
    if (!begun) throw new Error("The login's tokens do not count, or the server did not answer");
    const first = { v: 1, session: platform.randomId(), generation: 0 } as const;
    const record = recordOf(parseGrant(begun), first, platform);
    await replaceRecord(store, (previous) => ({ ...record, generation: (previous?.generation ?? 0) + 1 }));
    if (isLast()) show(shared, record);
  });
  shared.announce();
}

async function signOut(shared: Shared): Promise<void> {
  listen(shared);
  shared.left = shared.session ?? shared.left;
  Object.assign(shared, { session: undefined, token: undefined });
  for (const tokens of shared.fed) tokens.clear();
  const previous = await inTurn(shared, () => replaceRecord(shared.store, endOf));
  shared.announce();
  await shared.source.revoke?.(previous?.refreshToken);
}

/** Gives the clients what is in the store, if that is not what they have. Another person's token only after theirs is gone. */
function show(shared: Shared, { session, token, signedOut, ...times }: SessionRecord): void {
  if (session === shared.session && token === shared.token) return;
  const isOther = shared.session !== undefined && session !== shared.session;
  Object.assign(shared, signedOut ? { session: undefined, token: undefined } : { session, token });
  const grant = grantOf({ session, token, ...times } as SessionRecord, shared.platform.now());
  for (const tokens of shared.fed) {
    if (isOther) tokens.clear();
    if (grant !== undefined) tokens.setToken(grant);
  }
}

/** Only for clients that would hear of it, and only once something is asked of the session: until then nothing is used. */
function listen(shared: Shared): void {
  const { platform, store, name, fed } = shared;
  if (shared.channel || shared.unsubscribe || fed.size === 0) return;
  const catchUp = async () => {
    const { changes } = shared;
    await shared.turn;
    const record = parseRecord(await store.read());
    // Whatever changed meanwhile shows itself.
    if (record && changes === shared.changes && record.session !== shared.left) show(shared, record);
  };
  // A store that cannot be read now tells nothing; the next refresh reads it again.
  const onChange = () => {
    shared.changes++;
    void catchUp().catch(() => {});
  };
  shared.channel = platform.openChannel?.(name, onChange);
  shared.unsubscribe = store.subscribe?.(onChange);
}

function stopListening(shared: Shared): void {
  shared.channel?.close();
  shared.unsubscribe?.();
  shared.channel = undefined;
  shared.unsubscribe = undefined;
}
