// The SDK and the clients it is compared with, each used as its own documentation says, over one login of one room of the token world. Those that
// only keep tokens get the few lines that every app writes around them: send the token, and after a 401 ask for another and send once more.

import { OAuth2Client, OAuth2Fetch, type OAuth2Token } from "@badgateway/oauth2-client";
import { createConduit } from "@conduit-link/sdk";
import { createSession, fromControlPlane, memoryStore } from "@conduit-link/sdk/session";
import { AuthClient } from "@supabase/auth-js";
import axios from "axios";
import { createAuthRefresh } from "axios-auth-refresh";
import { InMemoryWebStorage, User, UserManager, WebStorageStateStore } from "oidc-client-ts";

export const LINK_TOKEN = "cl_pub_testtoken";

/** Where a client's tokens are, and which. */
export interface Login {
  /** Issuer; the link is `<room>/link`. */
  readonly room: string;
  /** Of the first token, in seconds. */
  readonly expiresIn: number;
}

/** One client. */
export interface Client {
  /** A call to the link below its path, with both credentials. */
  readonly call: (path: string, init?: RequestInit) => Promise<{ readonly status: number }>;
  /** Something that takes the place of `fetch`, for libraries that want one; the others have the loop of `call`. */
  readonly fetch?: typeof globalThis.fetch;
}

/** Makes clients of one login, that share one store. */
export type Open = (login: Login) => Promise<() => Promise<Client>>;

const withToken = (token: string, init?: RequestInit): RequestInit =>
  ({
    duplex: "half",
    ...init,
    headers: { Authorization: `Bearer ${token}`, "X-Access-Token": LINK_TOKEN },
  }) as RequestInit;

/** What an app writes by hand around a keeper of tokens. */
function appLoop(link: string, current: () => Promise<string>, renew: () => Promise<string>): Client["call"] {
  return async (path, init) => {
    const response = await fetch(link + path, withToken(await current(), init));
    return response.status === 401 ? fetch(link + path, withToken(await renew(), init)) : response;
  };
}

const openOurs: Open = async ({ room, expiresIn }) => {
  const store = memoryStore();
  const refresh = fromControlPlane({ issuer: room, clientId: "link" });
  await createSession({ store, refresh }).signIn({ accessToken: "a1", refreshToken: "r1", expiresIn });
  return async () => {
    const getToken = createSession({ store, refresh });
    const { fetchWithAuth } = createConduit({ url: `${room}/link`, linkToken: LINK_TOKEN, getToken });
    return { call: fetchWithAuth, fetch: fetchWithAuth as typeof globalThis.fetch };
  };
};

/** axios takes Node's own streams. Found at run time: workers have none. */
function nodeBody(body: unknown): unknown {
  if (!(body instanceof ReadableStream)) return body ?? undefined;
  return process.getBuiltinModule("node:stream").Readable.from(body);
}

const openAxios: Open = async ({ room }) => {
  const kept = { access: "a1", refresh: "r1" };
  return async () => {
    const instance = axios.create({ baseURL: `${room}/link`, headers: { "X-Access-Token": LINK_TOKEN } });
    instance.interceptors.request.use((config) => {
      config.headers.set("Authorization", `Bearer ${kept.access}`);
      return config;
    });
    createAuthRefresh(instance, async (failed) => {
      const fields = new URLSearchParams({ grant_type: "refresh_token", refresh_token: kept.refresh });
      const { data } = await axios.post<{ access_token: string; refresh_token: string }>(`${room}/oauth/token`, fields);
      Object.assign(kept, { access: data.access_token, refresh: data.refresh_token });
      failed.response.config.headers.Authorization = `Bearer ${data.access_token}`;
    });
    return {
      call: (path, init) => instance.request({ url: path, method: init?.method ?? "GET", data: nodeBody(init?.body) }),
    };
  };
};

const openBadgateway: Open = async ({ room, expiresIn }) => {
  let kept: OAuth2Token = { accessToken: "a1", refreshToken: "r1", expiresAt: Date.now() + expiresIn * 1_000 };
  return async () => {
    const client = new OAuth2Client({ server: room, clientId: "link", tokenEndpoint: `${room}/oauth/token` });
    const wrapper = new OAuth2Fetch({
      client,
      getNewToken: () => null,
      getStoredToken: () => kept,
      storeToken: (token) => {
        kept = token;
      },
    });
    const headers = { "X-Access-Token": LINK_TOKEN };
    return {
      call: (path, init) => wrapper.fetch(`${room}/link${path}`, { duplex: "half", ...init, headers } as RequestInit),
      fetch: (input, init) => wrapper.fetch(input, init),
    };
  };
};

const openOidc: Open = async ({ room, expiresIn }) => {
  const store = new InMemoryWebStorage();
  const open = () =>
    new UserManager({
      authority: room,
      client_id: "link",
      redirect_uri: `${room}/back`,
      metadata: { issuer: room, token_endpoint: `${room}/oauth/token`, authorization_endpoint: `${room}/authorize` },
      userStore: new WebStorageStateStore({ store }),
      stateStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
    });
  const tokens = { access_token: "a1", refresh_token: "r1", token_type: "Bearer", profile: { sub: "u" } };
  await open().storeUser(new User({ ...tokens, expires_at: Math.floor(Date.now() / 1_000) + expiresIn }));
  return async () => {
    const manager = open();
    const textOf = (user: User | null) => {
      if (user === null) throw new Error("no user");
      return user.access_token;
    };
    const current = async () => textOf(await manager.getUser());
    const renew = async () => textOf(await manager.signinSilent());
    return { call: appLoop(`${room}/link`, current, renew) };
  };
};

const openSupabase: Open = async ({ room, expiresIn }) => {
  const tokens = { access_token: "a1", refresh_token: "r1", token_type: "bearer", user: { id: "u" } };
  const expires_at = Math.floor(Date.now() / 1_000) + expiresIn;
  const kept = new Map([["session", JSON.stringify({ ...tokens, expires_in: expiresIn, expires_at })]]);
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  return async () => {
    const options = { url: room, storage, storageKey: "session", autoRefreshToken: true, persistSession: true };
    const auth = new AuthClient(options);
    const textOf = ({ data, error }: Awaited<ReturnType<typeof auth.getSession>>) => {
      if (data.session === null) throw error ?? new Error("no session");
      return data.session.access_token;
    };
    const current = async () => textOf(await auth.getSession());
    const renew = async () => textOf(await auth.refreshSession());
    return { call: appLoop(`${room}/link`, current, renew) };
  };
};

/** By their name in the table. */
export const CLIENTS = {
  conduit: openOurs,
  "axios-auth-refresh": openAxios,
  badgateway: openBadgateway,
  "oidc-client-ts": openOidc,
  supabase: openSupabase,
} as const satisfies Readonly<Record<string, Open>>;

export type ClientName = keyof typeof CLIENTS;
