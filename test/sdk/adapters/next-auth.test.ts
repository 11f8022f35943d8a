// The session callbacks in both generations of NextAuth: a person signs in by a form, and the session goes through real cookies.
import { createRequire } from "node:module";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type ConduitCallbacksOptions, conduitCallbacks } from "../../../sdk/src/adapters/next/index.ts";
import { ROOT } from "../../support/source-file.ts";

const SECRET = "a secret of the app, long enough for anyone";
const ORIGIN = "http://localhost:3000";
const USER = { id: "123", name: "Ada", email: "ada@example.com", role: "admin", tenantId: "acme", password: "x" };

interface Visit {
  /** What `/api/auth/session` answers. */
  session(): Promise<Record<string, unknown>>;
  /** The claims in the session's encrypted cookie, as `getToken()` of `next-auth/jwt` reads them. */
  claims(): Promise<Record<string, unknown> | null>;
}
type Decode = (params: object) => Promise<Record<string, unknown> | null>;
type SignIn = (options?: ConduitCallbacksOptions) => Promise<Visit>;

const require = createRequire(import.meta.url);

/** A module of Auth.js, which lies in the SDK's own folder: NextAuth 4 wants an older one beside itself. */
const authModule = async <T>(path: string) => (await import(`${ROOT}/sdk/node_modules/@auth/core/${path}.js`)) as T;

/** A browser's cookies, as far as the tests need them. */
class Jar {
  readonly #cookies = new Map<string, string>();
  set(name: string, value: string): void {
    this.#cookies.set(name, value);
  }
  get(name: string): string | undefined {
    return this.#cookies.get(name);
  }
  get all(): Record<string, string> {
    return Object.fromEntries(this.#cookies);
  }
  get header(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }
}

/** NextAuth 4 without Next.js around it. Not imported: its types, and Next.js' behind them, would change those of Node. */
const signIn4: SignIn = async (options) => {
  const { AuthHandler } = require(`${ROOT}/node_modules/next-auth/core`) as {
    AuthHandler(params: object): Promise<{ cookies?: { name: string; value: string }[]; body?: unknown }>;
  };
  const { decode } = require("next-auth/jwt") as { decode: Decode };
  const provider = require("next-auth/providers/credentials").default as (options: object) => object;
  const jar = new Jar();
  const act = async (action: string, method: string, body: object = {}, providerId?: string) => {
    const req = { action, method, providerId, body, query: {}, headers: {}, cookies: jar.all, origin: ORIGIN };
    const answer = await AuthHandler({
      req,
      options: {
        secret: SECRET,
        providers: [provider({ credentials: {}, authorize: () => USER })],
        callbacks: conduitCallbacks(options),
        session: { strategy: "jwt" },
        logger: { error() {}, warn() {}, debug() {} },
      },
    });
    for (const { name, value } of answer.cookies ?? []) jar.set(name, value);
    return answer.body as Record<string, unknown>;
  };
  const { csrfToken } = await act("csrf", "GET");
  await act("callback", "POST", { csrfToken }, "credentials");
  return {
    session: () => act("session", "GET"),
    claims: () => decode({ token: jar.get("next-auth.session-token"), secret: SECRET }),
  };
};

/** Auth.js 5. */
const signIn5: SignIn = async (options) => {
  const { decode } = await authModule<{ decode: Decode }>("jwt");
  const { Auth } = await authModule<{ Auth(request: Request, config: object): Promise<Response> }>("index");
  const { default: provider } = await authModule<{ default(options: object): object }>("providers/credentials");
  const jar = new Jar();
  const act = async (path: string, body?: Record<string, string>) => {
    const headers = { Cookie: jar.header, "Content-Type": "application/x-www-form-urlencoded" };
    const init = body ? { method: "POST", body: new URLSearchParams(body), headers } : { headers };
    const response = await Auth(new Request(`${ORIGIN}/auth/${path}`, init), {
      secret: SECRET,
      trustHost: true,
      basePath: "/auth",
      providers: [provider({ credentials: {}, authorize: () => USER })],
      callbacks: conduitCallbacks(options),
      logger: { error() {} },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ""] = cookie.split(";");
      const [name = "", value = ""] = pair.split(/=(.*)/);
      jar.set(name, decodeURIComponent(value));
    }
    return response;
  };
  const { csrfToken } = (await (await act("csrf")).json()) as { csrfToken: string };
  await act("callback/credentials", { csrfToken });
  const cookie = "authjs.session-token";
  return {
    session: async () => (await act("session")).json() as Promise<Record<string, unknown>>,
    claims: () => decode({ token: jar.get(cookie), secret: SECRET, salt: cookie }),
  };
};

afterEach(() => vi.useRealTimers());

describe.each([
  ["NextAuth 4", signIn4],
  ["Auth.js 5", signIn5],
])("%s", (_name, signIn) => {
  test("the user's id and claims are in the session and its cookie, and nothing else of the user", async () => {
    const visit = await signIn();
    expect((await visit.session()).user).toEqual({
      id: "123",
      name: "Ada",
      email: "ada@example.com",
      role: "admin",
      tenantId: "acme",
    });
    expect(await visit.claims()).toMatchObject({
      sub: "123",
      email: "ada@example.com",
      role: "admin",
      tenantId: "acme",
    });
    expect(JSON.stringify(await visit.claims())).not.toContain("password");
  });

  test("claims as asked for", async () => {
    const visit = await signIn({ claims: ["tenantId"] });
    expect((await visit.session()).user).not.toHaveProperty("role");
    expect(await visit.claims()).toMatchObject({ tenantId: "acme" });
  });

  test("a token for the link is made once, from the session's claims, and stays on the server", async () => {
    const asked: unknown[] = [];
    const visit = await signIn({
      getToken(session) {
        asked.push([session.sub, session.email, session.role]);
        return { accessToken: "t1", expiresIn: 900 };
      },
    });
    const sessions = [await visit.session(), await visit.session()];
    expect(asked).toEqual([["123", "ada@example.com", "admin"]]);
    expect((await visit.claims())?.conduit).toMatchObject({ token: "t1" });
    expect(JSON.stringify(sessions)).not.toContain("t1");
  });

  test("the browser gets the token when asked for, in the form getToken answers", async () => {
    const visit = await signIn({ getToken: () => ({ token: "t1", expiresIn: 900 }), exposeToken: true });
    expect((await visit.session()).conduit).toEqual({ token: "t1", expiresIn: expect.toSatisfy((it) => it >= 898) });
  });

  test("a token that is due is made anew, also for sessions read at once", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    let round = 0;
    const visit = await signIn({
      getToken: async () => ({ token: `t${++round}`, expiresIn: 900 }),
      exposeToken: true,
    });
    vi.setSystemTime(Date.now() + 841_000);
    const sessions = await Promise.all([visit.session(), visit.session()]);
    expect(sessions.map(({ conduit }) => (conduit as { token: string }).token).sort()).toEqual(["t2", "t3"]);
    expect(await visit.session()).toHaveProperty("conduit");
    expect(round).toBe(3);
  });

  test("a failing control plane signs nobody out", async () => {
    const errors: unknown[] = [];
    const visit = await signIn({
      getToken: () => Promise.reject(new Error("away")),
      onError: (error) => errors.push(error),
      exposeToken: true,
    });
    const session = await visit.session();
    expect([session.user, session.conduit]).toEqual([expect.objectContaining({ id: "123" }), undefined]);
    expect(errors).toEqual([new Error("away"), new Error("away")]);
  });
});
