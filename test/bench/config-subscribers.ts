// Process: many simulated proxies, and how long each change takes to reach them.
import { setTimeout as delay } from "node:timers/promises";
import {
  type Commit,
  type ConnectedAnswer,
  type DelaysAnswer,
  type SubscribersOrder,
  sharedNowMs,
} from "./config-messages.ts";
import { type Arrival, Subscriber } from "./config-subscriber.ts";
import { serveParent } from "./messages.ts";
import { quantile } from "./quartiles.ts";

/** Connections opened at a time while a simulator fills; a storm knows no such bound. */
const AT_ONCE = 50;
/** A refused subscriber comes again after about this, and gives up after the other. */
const COME_BACK_MS = 2_000;
const OPEN_MAX_MS = 40_000;
const ARRIVE_MAX_MS = 60_000;
const POLL_MS = 10;

const subscribers: Subscriber[] = [];
let credential = "";

interface Opened extends ConnectedAnswer {
  readonly failed: ReadonlySet<Subscriber>;
}

/** Until each holds the state. Who is refused comes again after a pause, as a proxy does, and gives up in the end. */
async function openAll(them: readonly Subscriber[], ports: readonly number[], atOnce: number): Promise<Opened> {
  const delaysMs: number[] = [];
  const failed = new Set<Subscriber>();
  let refused = 0;
  const startMs = sharedNowMs();
  const waiting = them.entries();
  const openOne = async (at: number, subscriber: Subscriber): Promise<void> => {
    const isOpen = await subscriber.open(ports[at % ports.length] ?? 0, credential).then(
      () => true,
      () => false,
    );
    if (isOpen) {
      delaysMs.push(sharedNowMs() - startMs);
      return;
    }
    refused += 1;
    if (sharedNowMs() - startMs > OPEN_MAX_MS) failed.add(subscriber);
    else await delay(COME_BACK_MS * (0.5 + Math.random())).then(() => openOne(at, subscriber));
  };
  const openNext = async (): Promise<void> => {
    for (const [at, subscriber] of waiting) await openOne(at, subscriber);
  };
  await Promise.all(Array.from({ length: atOnce }, openNext));
  return { delaysMs: delaysMs.sort((a, b) => a - b), refused, problems: takeProblems(), failed };
}

async function connect(count: number, ports: readonly number[]): Promise<ConnectedAnswer> {
  const added = Array.from({ length: Math.max(0, count - subscribers.length) }, () => new Subscriber());
  const { failed, ...answer } = await openAll(added, ports, AT_ONCE);
  subscribers.push(...added.filter((one) => !failed.has(one)));
  return answer;
}

async function reconnect(ports: readonly number[], isCold: boolean): Promise<ConnectedAnswer> {
  await Promise.all(subscribers.map((subscriber) => subscriber.cut(isCold)));
  const { failed, ...answer } = await openAll(subscribers, ports, subscribers.length);
  const problems = failed.size === 0 ? [] : [`${failed.size} did not come back`];
  return { ...answer, problems: [...answer.problems, ...problems] };
}

async function delays(commits: readonly Commit[]): Promise<DelaysAnswer> {
  const last = commits.at(-1)?.sequence ?? 0;
  const untilMs = sharedNowMs() + ARRIVE_MAX_MS;
  const isThere = ({ arrivals }: Subscriber): boolean => (arrivals.at(-1)?.sequence ?? 0) >= last;
  while (!subscribers.every(isThere) && sharedNowMs() < untilMs) await delay(POLL_MS);
  const all = subscribers.flatMap(({ arrivals }) => delaysOf(commits, arrivals)).sort((a, b) => a - b);
  const lacking = subscribers.length * commits.length - all.length;
  for (const subscriber of subscribers) subscriber.arrivals = [];
  const problems = [...takeProblems(), ...(lacking > 0 ? [`${lacking} changes did not arrive`] : [])];
  const at = (share: number): number => (all.length === 0 ? Number.NaN : quantile(all, share));
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1), problems };
}

/** Of each change that arrived: until the first frame that holds it. */
function delaysOf(commits: readonly Commit[], arrivals: readonly Arrival[]): number[] {
  let at = 0;
  return commits.flatMap(({ sequence, atMs }) => {
    while ((arrivals[at]?.sequence ?? sequence) < sequence) at += 1;
    const arrival = arrivals[at];
    return arrival === undefined ? [] : [arrival.atMs - atMs];
  });
}

const takeProblems = (): string[] => subscribers.flatMap(({ problems }) => problems.splice(0));

function obey(order: SubscribersOrder): Promise<ConnectedAnswer | DelaysAnswer> {
  if (order.deed === "delays") return delays(order.commits);
  if (order.deed === "reconnect") return reconnect(order.ports, order.isCold);
  credential = order.credential;
  return connect(order.count, order.ports);
}

process.on("message", (message: SubscribersOrder | "cpu") => {
  if (message !== "cpu") void obey(message).then((answer) => process.send?.(answer));
});
serveParent(0);
