// Situations in which clients lose sessions, leak credentials or hang. Each says what happens, to any client, and when that is well.
import { Health, HealthCheckResponse_ServingStatus as Serving } from "@conduit-link/proto/grpc/health/v1/health_pb";
import { ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import type { RoomLog, RoomSettings } from "../../support/token-world.ts";
import type { Client, Login } from "./clients.ts";

/** What a case works with. */
export interface Stage {
  readonly room: string;
  /** Clients of one login, which share a store. */
  readonly open: () => Promise<Client>;
  readonly set: (settings: RoomSettings) => Promise<void>;
}

export interface PeerCase {
  /** What the login's first token says of itself; default 900 s. */
  readonly login?: Pick<Login, "expiresIn">;
  /** The room from the beginning. */
  readonly settings?: RoomSettings;
  /** Default the Node that runs the benchmark. */
  readonly runtime?: "node24-14" | "workerd";
  /** What each POST must carry. */
  readonly body?: string;
  /** What the callers got: statuses, or what was wrong. */
  readonly run: (stage: Stage) => Promise<readonly string[]>;
  readonly isGood: (outcome: readonly string[], log: RoomLog) => boolean;
}

/** A status, or the name and text of the error. */
export async function outcomeOf(call: Promise<{ readonly status: number }>): Promise<string> {
  try {
    return String((await call).status);
  } catch (error) {
    const { response, code, message } = error as { response?: { status?: number }; code?: string; message?: string };
    return response?.status ? String(response.status) : (code ?? message ?? String(error));
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const areAll200 = (outcome: readonly string[]) => outcome.every((status) => status === "200");

async function callAll({ open }: Stage, paths: readonly string[]): Promise<readonly string[]> {
  const { call } = await open();
  return Promise.all(paths.map((path) => outcomeOf(call(path))));
}

/** As most write it: the call once more after an `unauthenticated`. */
const retrying =
  ({ call }: Client): Interceptor =>
  (next) =>
  async (request) => {
    try {
      return await next(request);
    } catch (error) {
      if (ConnectError.from(error).rawMessage === "") throw error;
      // Spends the refresh that the client would.
      await call("/x");
      return next(request);
    }
  };

async function streamOutcome(room: string, client: Client): Promise<string> {
  const baseUrl = `${room}/link`;
  const transport = client.fetch
    ? createConnectTransport({ baseUrl, fetch: client.fetch })
    : createConnectTransport({ baseUrl, interceptors: [retrying(client)] });
  const statuses: Serving[] = [];
  try {
    for await (const { status } of createClient(Health, transport).watch({})) statuses.push(status);
    return statuses.join() === String(Serving.SERVING) ? "200" : `answers ${statuses.join()}`;
  } catch (error) {
    return ConnectError.from(error).message;
  }
}

export const CASES: Readonly<Record<string, PeerCase>> = {
  "a 401 that comes late": {
    settings: { expire: true },
    run: (stage) => callAll(stage, ["/x", "/y", "/late-300"]),
    isGood: (outcome, { refreshes }) => areAll200(outcome) && refreshes === 1,
  },
  "three 401s at once": {
    settings: { expire: true },
    run: (stage) => callAll(stage, ["/x", "/y", "/z"]),
    isGood: (outcome, { refreshes }) => areAll200(outcome) && refreshes === 1,
  },
  "a token of 30 days": {
    settings: { expire: true, expiresIn: 30 * 86_400 },
    async run(stage) {
      const outcome = await callAll(stage, ["/x"]);
      await pause(700);
      return outcome;
    },
    // The first token was refused: one refresh brought the one of 30 days.
    isGood: (outcome, { refreshes }) => areAll200(outcome) && refreshes === 1,
  },
  "two clients, one store": {
    // Slow enough for both to ask before either has an answer.
    settings: { expire: true, slow: { times: 1, delayMs: 200 } },
    run: async (stage) => (await Promise.all([callAll(stage, ["/x"]), callAll(stage, ["/y"])])).flat(),
    isGood: (outcome, { reuses }) => areAll200(outcome) && reuses === 0,
  },
  "429 to the refresh of an expired token": {
    login: { expiresIn: 1 },
    async run({ open, set }) {
      await pause(1_100);
      await set({ expire: true, refuse: { times: 1, status: 429, headers: { "Retry-After": "1" } } });
      const { call } = await open();
      const first = await outcomeOf(call("/x"));
      await pause(2_500);
      return [first, await outcomeOf(call("/x"))];
    },
    isGood: ([, second]) => second === "200",
  },
  "a redirect to another origin": {
    run: (stage) => callAll(stage, ["/leak"]),
    isGood: (_outcome, { leaks }) => leaks.length === 0,
  },
  "a Connect server stream after a 401": {
    settings: { expire: true },
    run: async ({ room, open }) => [await streamOutcome(room, await open())],
    isGood: (outcome, { refreshes }) => areAll200(outcome) && refreshes === 1,
  },
  "a 401 to a streamed body, Node 24.14": {
    runtime: "node24-14",
    settings: { expire: true },
    body: "hello",
    async run({ open }) {
      const { call } = await open();
      const body = new Blob(["hello"]).stream();
      const first = await outcomeOf(call("/x", { method: "POST", body }));
      return [first, await outcomeOf(call("/y"))];
    },
    // Cured with the whole body, or not cured and said so.
    isGood: ([first, second], { requests }) => {
      const isSaid = first === "401" || first === "body_not_replayable";
      const isCured = first === "200" && requests.filter(({ body }) => body === "hello").length === 2;
      return (isSaid || isCured) && second === "200";
    },
  },
  "a refresh whose request has gone, workerd": {
    runtime: "workerd",
    settings: { expire: true, slow: { times: 1, delayMs: 300 } },
    // The worker's part is in worker.ts.
    run: (stage) => callAll(stage, ["/x"]),
    isGood: (outcome) => outcome.at(-1) === "200",
  },
};
