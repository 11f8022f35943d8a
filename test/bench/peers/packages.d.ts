// What the comparison uses of packages that are installed on demand (test/programs/peers), so that it is type-checked without them.
declare module "axios-auth-refresh" {
  import type { AxiosInstance } from "axios";
  export function createAuthRefresh(
    axios: AxiosInstance,
    refresh: (failed: { response: { config: { headers: Record<string, string> } } }) => Promise<unknown>,
  ): number;
}

declare module "@badgateway/oauth2-client" {
  export interface OAuth2Token {
    accessToken: string;
    refreshToken: string | null;
    expiresAt: number | null;
  }
  export class OAuth2Client {
    constructor(options: { server: string; clientId: string; tokenEndpoint: string });
  }
  export class OAuth2Fetch {
    constructor(options: {
      client: OAuth2Client;
      getNewToken(): OAuth2Token | null;
      getStoredToken(): OAuth2Token | null;
      storeToken(token: OAuth2Token): void;
    });
    fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  }
}

declare module "oidc-client-ts" {
  export class InMemoryWebStorage {}
  export class WebStorageStateStore {
    constructor(options: { store: InMemoryWebStorage });
  }
  export class User {
    constructor(fields: {
      access_token: string;
      refresh_token: string;
      token_type: string;
      expires_at: number;
      profile: object;
    });
    readonly access_token: string;
  }
  export class UserManager {
    constructor(settings: object);
    storeUser(user: User): Promise<void>;
    getUser(): Promise<User | null>;
    signinSilent(): Promise<User | null>;
  }
}

declare module "@supabase/auth-js" {
  interface Answer {
    readonly data: { readonly session: { readonly access_token: string } | null };
    readonly error: Error | null;
  }
  export class AuthClient {
    constructor(options: {
      url: string;
      storage: {
        getItem(key: string): string | null;
        setItem(key: string, value: string): void;
        removeItem(key: string): void;
      };
      storageKey: string;
      autoRefreshToken: boolean;
      persistSession: boolean;
    });
    getSession(): Promise<Answer>;
    refreshSession(): Promise<Answer>;
  }
}
