// Explores orders of events by seed: several tabs (each a client with its session) over one store and one control plane, every wait of theirs a
// point where any other may come first. Tabs call, are refused, sign out, sign in as somebody else, crash; answers come late, in any order, or
// never. Real client and session code, real rules for refresh tokens; store, locks, channel, network and clock are the explorer's.
import { type Grant, isConduitError } from "../../../sdk/src/index.ts";
import type { TokenStore } from "../../../sdk/src/session/index.ts";
import { numbersFrom, Scheduler, settled } from "./scheduler.ts";
import { fakeControlPlane, openTab } from "./tabs.ts";

/** What a schedule is made of. */
export interface ExplorerOptions {
  readonly seed: number;
  /** Whether tabs have locks and a channel, as documents do. */
  readonly isDocument: boolean;
}

interface Waiter {
  readonly what: string;
  readonly tab: Tab;
  settled: boolean;
}

class Tab {
  readonly name: string;
  isOpen = true;
  /** Whose token it got last, and whose it has signed out of. */
  family = "";
  readonly left = new Set<string>();
  client: ReturnType<typeof openTab> | undefined;
  constructor(name: string) {
    this.name = name;
  }
}

/** Runs one schedule; throws with its steps when a guarantee is broken. */
export async function explore({ seed, isDocument }: ExplorerOptions): Promise<void> {
  const world = new World(seed, isDocument);
  try {
    await world.run();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}, documents ${isDocument}: ${why}\n${world.scheduler.log.join("\n")}`);
  }
}

class World {
  readonly scheduler: Scheduler;
  readonly #isDocument: boolean;
  readonly #tabs: Tab[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #plane;
  #kept: string | null = null;
  #ids = 0;
  readonly #subscribers = new Map<Tab, () => void>();
  readonly #broken: string[] = [];
  readonly #queue: { readonly tab: Tab; grant(): void }[] = [];
  #holder: Tab | undefined;
  readonly #everKept = new Set<string>();
  /** Which attempts were sent with each refresh token. */
  readonly #attempts = new Map<string, Set<string>>();

  constructor(seed: number, isDocument: boolean) {
    this.scheduler = new Scheduler(numbersFrom(seed));
    this.#isDocument = isDocument;
    this.#plane = fakeControlPlane(() => this.scheduler.nowMs);
  }

  async run(): Promise<void> {
    for (let index = 0; index < 2 + this.scheduler.below(2); index++) this.#openTab();
    this.#signIn(this.#tabs[0] as Tab);
    for (let action = 0; action < 12; action++) {
      for (let steps = this.scheduler.below(8); steps > 0; steps--) if (!(await this.scheduler.step())) break;
      this.#act();
      await settled();
    }
    while (await this.scheduler.step()) if (this.scheduler.log.length > 4000) throw new Error("It never comes to rest");
    await this.#judge();
  }

  #openTab(): void {
    const tab = new Tab(`tab${this.#tabs.length + 1}`);
    const { scheduler } = this;
    const platform = {
      now: () => scheduler.nowMs,
      monotonic: () => scheduler.nowMs,
      random: () => 0.5,
      randomId: () => `${tab.name}-${++this.#ids}`,
      setTimer: (delayMs: number, callback: () => void) => scheduler.setTimer(tab, delayMs, callback),
      locks: this.#isDocument ? { request: this.#locksOf(tab) as unknown as LockManager["request"] } : undefined,
      openChannel: this.#isDocument
        ? (_name: string, onChange: () => void) => this.#channelOf(tab, onChange)
        : undefined,
    };
    tab.client = openTab({
      store: this.#storeOf(tab),
      platform,
      getToken: async ({ refreshToken = "", attemptId }) => {
        const sentMs = scheduler.nowMs;
        await this.#pause(tab, "request");
        // Networks lose what they do not deliver within the time a client waits for an answer.
        const isLost =
          scheduler.nowMs - sentMs > 10_000 || scheduler.chance(0.1) || this.#isOvertaken(refreshToken, attemptId);
        if (isLost) throw new TypeError("fetch failed");
        const answer = this.#serve(refreshToken, attemptId);
        await this.#pause(tab, "answer");
        if (scheduler.chance(0.15)) throw new TypeError("fetch failed");
        return answer;
      },
      revoke: async (refreshToken) => {
        await this.#pause(tab, "revoke");
        this.#plane.revoke(refreshToken);
      },
    });
    this.#tabs.push(tab);
  }

  /**
   * The one order that the protocol does not stand, and that is left out here: without the lock (none there, or given up after its time-out) two
   * tabs send one attempt, and one of the two requests reaches the server only after the other was answered and the *next* rotation done too.
   */
  #isOvertaken(refreshToken: string, attemptId: string): boolean {
    const [name = "", counter = ""] = refreshToken.split(".");
    const isDuplicate = this.#attempts.get(refreshToken)?.has(attemptId) === true;
    return isDuplicate && this.#plane.rotations.has(`${name}.${Number(counter) + 1}`);
  }

  #keep(text: string | null): void {
    this.#kept = text;
    const { token } = JSON.parse(text ?? "{}") as { readonly token?: string };
    if (token) this.#everKept.add(token);
  }

  #serve(refreshToken: string, attemptId: string): Grant | null {
    const attempts = this.#attempts.get(refreshToken) ?? new Set();
    this.#attempts.set(refreshToken, attempts.add(attemptId));
    const answer = this.#plane.refresh(refreshToken, attemptId);
    this.scheduler.log.push(
      `  server: ${refreshToken} by ${attemptId}: ${answer ? JSON.stringify(answer) : "invalid_grant"}`,
    );
    return answer;
  }

  /** A wait of a tab; in one that was closed nothing ever goes on. */
  async #pause(tab: Tab, what: string): Promise<void> {
    await this.scheduler.pause(`${tab.name} ${what}`);
    if (!tab.isOpen) await new Promise<never>(() => {});
  }

  #storeOf(tab: Tab): TokenStore {
    return {
      read: async () => {
        await this.#pause(tab, "read");
        return this.#kept;
      },
      swap: async (expected, next) => {
        await this.#pause(tab, "swap");
        const isSame = this.#kept === expected;
        if (isSame) this.#keep(next);
        this.scheduler.log.push(`  ${isSame ? "kept" : "refused"} ${next}`);
        await this.#pause(tab, "swapped");
        return isSame;
      },
    };
  }

  #channelOf(tab: Tab, onChange: () => void) {
    this.#subscribers.set(tab, onChange);
    return {
      announce: () => {
        for (const [other] of this.#subscribers) {
          if (other !== tab) void this.#pause(other, "message").then(() => this.#subscribers.get(other)?.());
        }
      },
      close: () => void this.#subscribers.delete(tab),
    };
  }

  #locksOf(tab: Tab) {
    return (_name: string, { signal }: { readonly signal: AbortSignal }, work: () => Promise<unknown>) =>
      new Promise((resolve, reject) => {
        const entry = {
          tab,
          grant: () => {
            this.#holder = tab;
            void work()
              .then(resolve, reject)
              .then(() => this.#release());
          },
        };
        signal.addEventListener("abort", () => {
          const index = this.#queue.indexOf(entry);
          if (index < 0) return;
          this.#queue.splice(index, 1);
          reject(new DOMException("aborted", "AbortError"));
        });
        this.#queue.push(entry);
        if (!this.#holder) this.#release();
      });
  }

  #release(): void {
    this.#holder = undefined;
    const next = this.#queue.shift();
    if (next) next.grant();
  }

  /** One thing that people, networks or machines do. */
  #act(): void {
    const open = this.#tabs.filter((tab) => tab.isOpen);
    const tab = open[this.scheduler.below(open.length)] as Tab;
    const kind = this.scheduler.below(20);
    if (kind < 8) this.#call(tab);
    else if (kind < 12) this.#refused(tab);
    else if (kind < 14) this.#wait(tab, "refresh", () => tab.client?.tokens.refresh());
    else if (kind < 15) this.#signOut(tab);
    else if (kind < 16) this.#signIn(tab);
    else if (kind < 18) this.#crash(tab);
    else this.scheduler.nowMs += 850_000 + this.scheduler.below(100_000);
  }

  #call(tab: Tab): void {
    this.#wait(tab, "call", () => tab.client?.tokens.getToken());
  }

  /** The proxy refuses the token a call was sent with: the call goes on with another. */
  #refused(tab: Tab): void {
    this.#wait(tab, "refused call", async () => {
      const held = await tab.client?.tokens.acquire();
      await this.#pause(tab, "401");
      return held && (await tab.client?.tokens.renew(held))?.token;
    });
  }

  #wait(tab: Tab, what: string, work: () => Promise<string | undefined> | undefined): void {
    const waiter = { what: `${tab.name} ${what}`, tab, settled: false };
    this.#waiters.push(waiter);
    this.scheduler.log.push(`  ${waiter.what}`);
    const settle = (outcome: string) => {
      waiter.settled = true;
      this.scheduler.log.push(`  ${waiter.what}: ${outcome}`);
    };
    void Promise.resolve(work()).then(
      (token = "") => {
        settle(token);
        tab.family = familyOf(token);
        if (!this.#everKept.has(token)) this.#broken.push(`${tab.name} got ${token}, which never was the session's`);
        if (tab.left.has(tab.family)) this.#broken.push(`${tab.name} got ${token} after signing out there`);
      },
      (error: unknown) => {
        settle(isConduitError(error) ? error.code : String(error));
        if (!isConduitError(error)) this.#broken.push(`${waiter.what} rejected with ${String(error)}`);
      },
    );
  }

  #signOut(tab: Tab): void {
    this.scheduler.log.push(`  ${tab.name} signs out`);
    tab.left.add(tab.family);
    tab.client?.conduit.signOut().catch(() => {});
  }

  #signIn(tab: Tab): void {
    const login = this.#plane.login();
    this.scheduler.log.push(`  ${tab.name} signs in as ${familyOf(login.token)}`);
    tab.client?.session.signIn(login).catch(() => {});
  }

  /** The tab is gone in the middle of whatever it did; another one is opened. */
  #crash(tab: Tab): void {
    this.scheduler.log.push(`  ${tab.name} crashes`);
    tab.isOpen = false;
    this.scheduler.dropTimers(tab);
    this.#subscribers.delete(tab);
    for (const entry of this.#queue.filter((each) => each.tab === tab))
      this.#queue.splice(this.#queue.indexOf(entry), 1);
    if (this.#holder === tab) this.#release();
    this.#openTab();
  }

  async #judge(): Promise<void> {
    for (const [generation, count] of this.#plane.rotations) {
      if (count > 1) this.#broken.push(`${generation} was rotated ${count} times`);
    }
    for (const [refreshToken, attempts] of this.#attempts) {
      if (attempts.size > 1)
        this.#broken.push(`${refreshToken} was sent as ${[...attempts].join(", ")}: two rotations`);
    }
    if (this.#plane.reuses > 0) this.#broken.push("A refresh token was used again, and the server ended the session");
    for (const { what, settled, tab } of this.#waiters) {
      if (!settled && tab.isOpen) this.#broken.push(`${what} never settled`);
    }
    for (const tab of this.#tabs) if (tab.isOpen && this.#isDocument) await this.#judgeTab(tab);
    if (this.#broken.length > 0) throw new Error(this.#broken.join("; "));
  }

  /** At rest, a tab that has a token has one of the person who is signed in. */
  async #judgeTab(tab: Tab): Promise<void> {
    const record = JSON.parse(this.#kept ?? "null") as { readonly token?: string } | null;
    if (tab.client?.conduit.state !== "ready") return;
    const held = await Promise.race([tab.client.tokens.acquire(), settled()]);
    const [family, kept] = [familyOf(held?.token), familyOf(record?.token)];
    // What a tab wrote that crashed before it could tell is noticed at the next refresh only.
    const couldTell = this.#tabs.every(({ isOpen }) => isOpen);
    if (held && family !== kept && couldTell)
      this.#broken.push(`${tab.name} has a token of ${family}, signed in is ${kept || "nobody"}`);
  }
}

/** The session that a token is of. */
function familyOf(token = ""): string {
  return token.split("-")[0] ?? "";
}
