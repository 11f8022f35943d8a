// What the core decides by itself, without a network or a clock of the runtime: also run on the bare VM of Hermes, which has neither.
import { type Conduit, createConduit, isConduitError, type Platform, TokenManager } from "@conduit-link/sdk";
import { createSession, memoryStore } from "@conduit-link/sdk/session";
import { type Case, equal, rejectionCode } from "./room.ts";

/** Clocks and timers that stand still, and a proxy that is a function. */
interface Bench {
  readonly platform: Platform;
  /** Moves both clocks on and runs what falls due. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone. */
  sleep(ms: number): void;
  /** The app comes back to the front. */
  resume(): void;
  /** Every delay a timer was set with. */
  readonly delaysMs: number[];
}

/** Lets promises settle; by default more turns than any chain of the SDK is long. */
async function settle(turns = 200): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
}

function openBench(fetch: Platform["fetch"] = () => Promise.reject(new Error("no network"))): Bench {
  let [nowMs, wallMs, ids] = [1_000, 1_760_000_000_000, 0];
  const timers = new Map<number, { readonly atMs: number; readonly callback: () => void }>();
  const listeners = new Set<() => void>();
  const delaysMs: number[] = [];
  const platform: Platform = {
    fetch,
    now: () => wallMs + nowMs,
    monotonic: () => nowMs,
    random: () => 0.5,
    randomId: () => `id-${++ids}`,
    setTimer(delayMs, callback) {
      const id = ++ids;
      delaysMs.push(delayMs);
      timers.set(id, { atMs: nowMs + delayMs, callback });
      return () => void timers.delete(id);
    },
    onResume(callback) {
      listeners.add(callback);
      return () => void listeners.delete(callback);
    },
  };
  return {
    platform,
    delaysMs,
    sleep(ms) {
      wallMs += ms;
    },
    resume: () => [...listeners].forEach((listener) => void listener()),
    async advance(ms) {
      const untilMs = nowMs + ms;
      for (;;) {
        await settle(10);
        const [due] = [...timers].filter(([, { atMs }]) => atMs <= untilMs).sort(([, a], [, b]) => a.atMs - b.atMs);
        if (!due) break;
        timers.delete(due[0]);
        nowMs = Math.max(nowMs, due[1].atMs);
        due[1].callback();
      }
      nowMs = untilMs;
      await settle();
    },
  };
}

/** A source that hands out `t1`, `t2` … when it is told to. */
function openSource() {
  const waiting: (() => void)[] = [];
  const attempts: string[] = [];
  const source = ({ attemptId }: { readonly attemptId: string }) => {
    attempts.push(attemptId);
    const token = `t${attempts.length}`;
    return new Promise<{ token: string; expiresIn: number }>((resolve) => {
      waiting.push(() => resolve({ token, expiresIn: 900 }));
    });
  };
  return { source, attempts, answer: () => waiting.splice(0).forEach((resolve) => void resolve()) };
}

/** As much of a response as the client reads. */
const responseOf = (status: number, code?: string) =>
  ({ status, headers: { get: (name: string) => (name === "X-Conduit-Error" ? (code ?? null) : null) } }) as Response;

const tokenOf = ({ headers }: RequestInit) => (headers as Headers).get("Authorization");

export const STATE_MACHINE: Readonly<Record<string, Case<undefined>>> = {
  async "50 calls for a missing token are one refresh"() {
    const { platform } = openBench();
    const { source, attempts, answer } = openSource();
    const tokens = new TokenManager({ refresh: source, platform });
    const calls = Array.from({ length: 50 }, () => tokens.getToken());
    await settle();
    answer();
    equal([...new Set(await Promise.all(calls))], ["t1"], "tokens");
    equal(attempts.length, 1, "refreshes");
  },
  async "50 refused calls and a late one are one refresh, and all are sent again"() {
    let [sent, refuseLate] = [0, () => {}];
    const late = new Promise<void>((resolve) => {
      refuseLate = resolve;
    });
    const { platform } = openBench(async (url, init) => {
      sent++;
      const isOld = tokenOf(init) === "Bearer t1";
      if (isOld && String(url).endsWith("/late")) await late;
      return isOld ? responseOf(401, "token_expired") : responseOf(200);
    });
    let rounds = 0;
    const getToken = () => ({ token: `t${++rounds}`, expiresIn: 900 });
    const { fetchWithAuth } = createConduit({ url: "https://proxy.example/link", getToken, platform });
    const lateCall = fetchWithAuth("/late");
    const answers = await Promise.all(Array.from({ length: 50 }, () => fetchWithAuth("/x")));
    equal([...new Set(answers.map(({ status }) => status))], [200], "statuses");
    refuseLate();
    equal([(await lateCall).status, rounds, sent], [200, 2, 102], "late status, rounds, requests");
  },
  async "an upstream's own 401, and one that no token cures, are returned without a refresh"() {
    for (const code of [undefined, "token_audience_mismatch", "token_claim_missing", "link_token_invalid"]) {
      const { platform } = openBench(async () => responseOf(401, code));
      let rounds = 0;
      const getToken = () => `t${++rounds}`;
      const { fetchWithAuth } = createConduit({ url: "https://proxy.example/link", getToken, platform });
      equal([(await fetchWithAuth("/x")).status, rounds], [401, 1], String(code));
    }
  },
  async "a token of 30 days is refreshed by steps no engine overflows, and only when it is due"() {
    const bench = openBench();
    let rounds = 0;
    const tokens = new TokenManager({ refresh: () => `t${++rounds}`, platform: bench.platform });
    tokens.setToken("first", 30 * 86_400);
    await bench.advance(29.9 * 86_400_000);
    equal([rounds, Math.max(...bench.delaysMs) < 2 ** 31], [0, true], "rounds, and timers that fit");
    await bench.advance(0.1 * 86_400_000);
    equal(rounds, 1, "rounds");
    tokens.dispose();
  },
  async "while a due token is replaced, calls go on with it; once it has expired they wait"() {
    const bench = openBench();
    const { source, answer } = openSource();
    const tokens = new TokenManager({ refresh: source, platform: bench.platform, autoRefresh: false });
    tokens.setToken("first", 900);
    await bench.advance(850_000);
    equal(await tokens.getToken(), "first", "while due");
    await bench.advance(1_000);
    answer();
    await settle();
    equal(await tokens.getToken(), "t1", "afterwards");
  },
  async "a sign-out in the middle of a refresh is not undone by its answer"() {
    const { platform } = openBench();
    const { source, answer } = openSource();
    const tokens = new TokenManager({ refresh: source, platform });
    tokens.setToken("first", 900);
    const call = rejectionCode(tokens.refresh());
    await settle();
    tokens.clear();
    answer();
    equal([await call, tokens.state], ["session_lost", "empty"], "waiter and state");
  },
  async "a source that hangs is given up, and the next call asks again with the same attempt"() {
    const bench = openBench();
    const { source, attempts, answer } = openSource();
    const tokens = new TokenManager({ refresh: source, platform: bench.platform, refreshTimeoutMs: 1_000 });
    const call = rejectionCode(tokens.getToken());
    await bench.advance(1_000);
    equal(await call, "refresh_timeout", "first");
    const next = tokens.getToken();
    await settle();
    answer();
    equal(await next, "t1", "next: a late answer counts too");
    equal([attempts.length, new Set(attempts).size], [2, 1], "calls and attempts");
  },
  async "the end of a session is told once, with an error that knows itself"() {
    const { platform } = openBench();
    const tokens = new TokenManager({ refresh: () => null, platform });
    const lost: Error[] = [];
    tokens.on("lost", ({ error }) => void lost.push(error));
    equal(
      [await rejectionCode(tokens.getToken()), await rejectionCode(tokens.getToken())],
      ["session_lost", "session_lost"],
      "calls",
    );
    const [error] = lost;
    equal(
      [lost.length, isConduitError(error), error instanceof Error, error?.name],
      [1, true, true, "ConduitError"],
      "events and error",
    );
  },
  async "resume looks at the clock again"() {
    const bench = openBench();
    let rounds = 0;
    const tokens = new TokenManager({ refresh: () => `t${++rounds}`, platform: bench.platform });
    tokens.setToken("first", 900);
    bench.resume();
    await settle();
    equal(rounds, 0, "fresh");
    // The machine sleeps: no timer runs, and the monotonic clock of some engines stands still.
    bench.sleep(880_000);
    bench.resume();
    await settle();
    equal(rounds, 1, "due");
    tokens.dispose();
  },
  async "clients of one store rotate once, and follow a sign-out"() {
    const { platform } = openBench();
    const store = memoryStore();
    const attempts: string[] = [];
    const refresh = async ({ attemptId }: { readonly attemptId: string }) => {
      attempts.push(attemptId);
      await settle();
      return { token: `t${new Set(attempts).size}`, refreshToken: "r2", expiresIn: 900 };
    };
    const parts = { ...platform, locks: undefined, openChannel: undefined };
    const open = (): Conduit => {
      const getToken = createSession({ store, refresh, platform: parts });
      return createConduit({ url: "https://proxy.example/link", getToken, platform });
    };
    const clients = [open(), open(), open()];
    const tokens = await Promise.all(clients.map((client) => client.tokens.getToken()));
    equal([[...new Set(tokens)], new Set(attempts).size], [["t1"], 1], "tokens and attempts");
    await clients[0]?.signOut();
    equal(await rejectionCode(clients[1]?.tokens.refresh() ?? settle()), "session_lost", "the others");
  },
};
