// The suite as a worker for workerd: `/run?world=<url>` answers its lines. `/abandon` and `/call` are about what all requests of an isolate share:
// a request that leaves in the middle of the refresh it began, and the ones after it. What it was waiting for never settles then.
import { createConduit } from "@conduit-link/sdk";
import { assertionKeys } from "@conduit-link/sdk/server";
import { CONFORMANCE } from "./conformance.ts";
import { LOGIN, rejectionCode, runCases } from "./room.ts";
import { STATE_MACHINE } from "./state-machine.ts";

async function runSuite(world: string): Promise<string> {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  await runCases(STATE_MACHINE, undefined, say);
  await runCases(CONFORMANCE, { world }, say);
  return lines.join("\n");
}

/** One refresh by the room's endpoint. */
async function refresh(room: string): Promise<string> {
  const body = JSON.stringify({ refresh_token: LOGIN.refreshToken, attempt_id: "a" });
  const response = await fetch(`${room}/token`, { method: "POST", body });
  return ((await response.json()) as { access_token: string }).access_token;
}

/** A client of ours, for all requests. */
function openOurs(room: string): () => Promise<string> {
  const getToken = async () => ({ token: await refresh(room), expiresIn: 900 });
  const { fetchWithAuth } = createConduit({
    url: `${room}/link`,
    getToken,
    refreshTimeoutMs: 1_000,
  });
  return async () => (await fetchWithAuth("/x")).text();
}

/** As most write it: whoever comes later waits for the promise of who came first. */
function openNaive(room: string): () => Promise<string> {
  let inFlight: Promise<string> | undefined;
  return () => {
    inFlight ??= refresh(room).finally(() => {
      inFlight = undefined;
    });
    return inFlight;
  };
}

/** The keys that an API behind a link verifies assertions with. */
function openKeys(room: string): () => Promise<unknown> {
  const keys = assertionKeys({ issuer: room });
  return () => keys.find("kid", "ES256");
}

const OPEN: Readonly<Record<string, (room: string) => () => Promise<unknown>>> = {
  client: openOurs,
  naive: openNaive,
  keys: openKeys,
};

const clients = new Map<string, () => Promise<unknown>>();

async function answer({ pathname, searchParams }: URL): Promise<string> {
  if (pathname === "/run") return runSuite(searchParams.get("world") ?? "");
  const room = searchParams.get("room");
  if (room === null) return "ready";
  const call = clients.get(room) ?? OPEN[searchParams.get("kind") ?? ""]?.(room);
  if (!call) return "no such client";
  clients.set(room, call);
  if (pathname === "/call") return rejectionCode(call());
  // Not waited for: the runtime ends whatever this request has begun.
  if (pathname === "/abandon") call().catch(() => {});
  return "left";
}

const worker = { fetch: async (request: Request) => new Response(await answer(new URL(request.url))) };

// By this name workerd finds it.
// biome-ignore lint/style/noDefaultExport: workerd's own rule
export { worker as default };
