// The development page: calls the demo link from the browser with the SDK and shows what the upstream received.
import { type Conduit, createConduit } from "../../../sdk/src/index.ts";
import { type DemoFacts, type Snippet, snippetsOf } from "./snippets.ts";

const OWN_PATH = "/api/users/123/profile?from=page";
const OTHER_PATH = "/api/users/456/profile";
const BURST = 30;
const EVENTS_SHOWN = 3;
/** Header lines that the upstream has from the proxy, not from this page. */
const ADDED_BY_PROXY = new Set([
  "x-api-key",
  "x-user-id",
  "x-user-roles",
  "x-tenant-id",
  "x-user-scopes",
  "x-request-id",
  "via",
]);
const SHOWN_HEADERS = [
  "x-conduit-error",
  "ratelimit",
  "ratelimit-policy",
  "retry-after",
  "www-authenticate",
  "x-request-id",
];

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element ${id}`);
  return found as T;
}

const setText = (id: string, text: string): void => {
  element(id).textContent = text;
};

const clock = (): string => new Date().toLocaleTimeString();

function logLine(text: string): void {
  const line = document.createElement("li");
  line.textContent = `${clock()} ${text}`;
  element("log").prepend(line);
}

/** Asks the demo's back end, as an app asks its own. */
async function getToken({ reason, signal }: { reason: string; signal: AbortSignal }) {
  const response = await fetch("/demo/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ lifetime_seconds: element<HTMLInputElement>("lifetime").valueAsNumber }),
    signal,
  });
  if (!response.ok) throw new Error(`the demo's back end answered ${response.status}`);
  logLine(`getToken (${reason})`);
  return (await response.json()) as { token: string; expiresIn: number };
}

async function showAnswer(response: Response, summary: string): Promise<void> {
  const kind = response.ok ? "good" : "bad";
  setText("status", `${response.status}`);
  element("status").dataset.kind = kind;
  setText("summary", summary);
  const rows = SHOWN_HEADERS.flatMap((name) => {
    const value = response.headers.get(name);
    if (value === null) return [];
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  });
  element("answer-headers").replaceChildren(...rows);
  setText("body-heading", response.ok ? "What the upstream received (marked: from the proxy)" : "The refusal");
  element("body").replaceChildren(...bodyNodes(await response.text()));
}

/** What the demo upstream answers: the request as it arrived there. */
interface Echo {
  readonly method: string;
  readonly target: string;
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  readonly body: string;
}

/** Shows an echoed request as HTTP with the proxy's own lines marked, anything else as it is. */
function bodyNodes(text: string): Array<Node | string> {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null) return [text];
  if (!("headers" in value)) return [JSON.stringify(value, null, 2)];
  const { method, target, headers, body } = value as Echo;
  const lines = headers.map(([name, content]) => {
    const line = document.createElement(ADDED_BY_PROXY.has(name.toLowerCase()) ? "mark" : "span");
    line.textContent = `${name}: ${content}\n`;
    return line;
  });
  return [`${method} ${target} HTTP/1.1\n`, ...lines, `\n${body}`];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Statuses and how often each came. */
function tally(responses: readonly Response[]): string {
  const counts = new Map<number, number>();
  for (const { status } of responses) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count} × ${status}`).join(", ");
}

async function burst(conduit: Conduit): Promise<void> {
  const responses = await Promise.all(Array.from({ length: BURST }, () => conduit.fetchWithAuth(OWN_PATH)));
  const shown = responses.find(({ status }) => status === 429) ?? responses[0];
  if (shown !== undefined) await showAnswer(shown, `${BURST} calls at once: ${tally(responses)}`);
}

async function events(conduit: Conduit): Promise<void> {
  const controller = new AbortController();
  const response = await conduit.fetchWithAuth("/events", { signal: controller.signal });
  if (!response.ok || response.body === null) return showAnswer(response, "no stream");
  setText("status", `${response.status}`);
  element("status").dataset.kind = "good";
  setText("summary", `GET /events: the first ${EVENTS_SHOWN} events, as they come`);
  setText("body-heading", "Events");
  setText("body", "");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let seen = 0; seen < EVENTS_SHOWN; ) {
    const { done, value } = await reader.read();
    if (done) break;
    seen += value.split("\n\n").length - 1;
    element("body").append(value);
  }
  controller.abort();
}

/** One button, one action; a second press waits for the first. */
function onPress(id: string, action: () => Promise<void>): void {
  const button = element<HTMLButtonElement>(id);
  button.addEventListener("click", () => {
    button.disabled = true;
    action()
      .catch((error: unknown) => {
        setText("status", "error");
        element("status").dataset.kind = "bad";
        setText("summary", error instanceof Error ? error.message : String(error));
      })
      .finally(() => {
        button.disabled = false;
      });
  });
}

function connectButtons(conduit: Conduit, facts: DemoFacts): void {
  const call = async (path: string) => showAnswer(await conduit.fetchWithAuth(path), `GET ${path}`);
  onPress("call-own", () => call(OWN_PATH));
  onPress("call-other", () => call(OTHER_PATH));
  onPress("call-anonymous", async () =>
    showAnswer(await fetch(`${facts.proxy_url}/${facts.link_id}${OWN_PATH}`), `GET ${OWN_PATH}, no token`),
  );
  onPress("call-burst", () => burst(conduit));
  onPress("call-events", () => events(conduit));
}

/** Shows the token's state once a second, and each refresh as it happens. */
function showToken(conduit: Conduit): void {
  let expiresAt: number | undefined;
  let refreshes = 0;
  const draw = () => {
    const leftSeconds = expiresAt === undefined ? undefined : Math.ceil((expiresAt - Date.now()) / 1_000);
    if (leftSeconds === undefined) setText("token-state", "none yet");
    else
      setText(
        "token-state",
        leftSeconds > 0 ? `valid for ${leftSeconds} s` : "expired: the next call refreshes it first",
      );
  };
  conduit.on("change", ({ tokens }) => {
    expiresAt = tokens?.expiresAt;
    draw();
  });
  conduit.on("refresh", ({ outcome, reason, durationMs, waiters }) => {
    refreshes += 1;
    setText("refresh-count", `${refreshes}`);
    logLine(`${outcome} (${reason}) in ${Math.round(durationMs)} ms; ${waiters} calls waited`);
  });
  setInterval(draw, 1_000);
}

function showSnippets(snippets: readonly Snippet[]): void {
  const tabs = snippets.map((snippet) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.role = "tab";
    tab.textContent = snippet.title;
    tab.addEventListener("click", () => select(tab, snippet));
    return tab;
  });
  const select = (selected: HTMLButtonElement, snippet: Snippet) => {
    for (const tab of tabs) tab.ariaSelected = `${tab === selected}`;
    setText("snippet", snippet.code);
    setText("snippet-note", snippet.note);
  };
  element("tabs").replaceChildren(...tabs);
  if (tabs[0] !== undefined && snippets[0] !== undefined) select(tabs[0], snippets[0]);
  element("copy").addEventListener("click", () => {
    void navigator.clipboard.writeText(element("snippet").textContent ?? "").then(() => setText("copy", "Copied"));
    setTimeout(() => setText("copy", "Copy"), 1_500);
  });
}

const facts = (await (await fetch("/demo.json")).json()) as DemoFacts;
const url = `${facts.proxy_url}/${facts.link_id}`;
const conduit = createConduit({ url, linkToken: facts.link_token, getToken, autoRefresh: false });
setText("link-url", url);
showToken(conduit);
connectButtons(conduit, facts);
showSnippets(snippetsOf(facts));
