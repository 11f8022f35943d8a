// A room of the token world as its clients see it, in whatever runtime they are: nothing but `fetch`.
import { type Conduit, type ConduitOptions, createConduit, isConduitError } from "@conduit-link/sdk";
import { fromBackend } from "@conduit-link/sdk/session";
import type { RoomLog, RoomSettings } from "../support/token-world.ts";

export const LINK_TOKEN = "cl_pub_testtoken";

/** What the runtime can and cannot. */
export interface Runtime {
  /** The token world's URL. */
  readonly world: string;
  /** Pages are not told where a redirect leads. */
  readonly isDocument?: boolean;
  /** `fetch` is made of XMLHttpRequest, as React Native's: redirects are followed unseen, and no answer is a stream. */
  readonly isXhr?: boolean;
  /** Whether requests can have streams as bodies: Chromium wants HTTP/2 for that. */
  readonly hasRequestStreams?: boolean;
}

export interface Room {
  readonly url: string;
  readonly link: string;
  set(settings: RoomSettings): Promise<void>;
  log(): Promise<RoomLog>;
  /** A client whose tokens are of this room: `a1` and `r1` first. */
  open(options?: Partial<ConduitOptions>): Conduit;
}

/** What a login would have given. */
export const LOGIN = { accessToken: "a1", refreshToken: "r1", expiresIn: 900 } as const;

/** Makes an empty room that no other case has. */
export function openRoom({ world }: Runtime): Room {
  const url = `${world}/${Math.random().toString(36).slice(2)}`;
  const refresh = fromBackend(`${url}/token`);
  const link = `${url}/link`;
  return {
    url,
    link,
    async set(settings) {
      await (await fetch(`${url}/settings`, { method: "POST", body: JSON.stringify(settings) })).text();
    },
    log: async () => (await fetch(`${url}/log`)).json() as Promise<RoomLog>,
    open: (options) =>
      createConduit({
        url: link,
        linkToken: LINK_TOKEN,
        getToken: (context) => (context.reason === "initial" ? LOGIN : refresh(context)),
        ...options,
      }),
  };
}

/** One guarantee; it throws when it does not hold, and answers a text when it cannot be asked here. */
export type Case<Context> = (context: Context) => Promise<unknown>;

/** Compared as JSON; says both when they differ. */
export function equal(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a} instead of ${b}`);
}

/** What a promise rejects with: the code of an SDK error, the text of another. */
export async function rejectionCode(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return isConduitError(error) ? error.code : String(error);
  }
}

/** Runs every case, one after the other, and says so in lines: `ok <name>`, `not ok <name>: <why>`, `skip <name>: <why>`, `done <count>`. */
export async function runCases<Context>(
  cases: Readonly<Record<string, Case<Context>>>,
  context: Context,
  say: (line: string) => void,
): Promise<void> {
  for (const [name, run] of Object.entries(cases)) {
    try {
      const why = await run(context);
      say(typeof why === "string" ? `skip ${name}: ${why}` : `ok ${name}`);
    } catch (error) {
      say(`not ok ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  say(`done ${Object.keys(cases).length}`);
}
