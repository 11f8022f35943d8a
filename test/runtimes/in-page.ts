// The suite in a page that the token world serves: `await window.runSuite()` answers its lines. With `?room=<name>` the page is one tab of a session
// instead: `window.tab`.
import { createConduit } from "@conduit-link/sdk";
import { createSession, fromControlPlane, storageStore } from "@conduit-link/sdk/session";
import { CONFORMANCE } from "./conformance.ts";
import { LOGIN, runCases } from "./room.ts";
import { STATE_MACHINE } from "./state-machine.ts";

/** `isXhr`: the page has whatwg-fetch in the place of its own. */
async function runSuite(isXhr = false): Promise<string[]> {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  await runCases(STATE_MACHINE, undefined, say);
  await runCases(CONFORMANCE, { world: location.origin, isDocument: true, hasRequestStreams: false, isXhr }, say);
  return lines;
}

function openTab(room: string) {
  const issuer = `${location.origin}/${room}`;
  const refresh = fromControlPlane({ issuer, clientId: "link" });
  const session = createSession({ store: storageStore(localStorage), refresh, lockTimeoutMs: 1_000 });
  const conduit = createConduit({ url: `${issuer}/link`, getToken: session });
  return {
    conduit,
    signIn: () => session.signIn(LOGIN),
    /** The answer of a call, or the code of the error. */
    call: async (path: string) => {
      try {
        const response = await conduit.fetchWithAuth(path);
        return `${response.status} ${await response.text()}`;
      } catch (error) {
        return (error as { code?: string }).code ?? String(error);
      }
    },
    refresh: () =>
      conduit.tokens.refresh().then(
        () => conduit.tokens.getToken(),
        (error: { code?: string }) => error.code,
      ),
  };
}

const room = new URLSearchParams(location.search).get("room");
Object.assign(globalThis, room === null ? { runSuite } : { tab: openTab(room) });
