// An app of one component, for ./react.test.ts: rendered there on the server, here in the browser.
import { createElement, type ReactElement, StrictMode, useEffect, useState } from "react";
import { hydrateRoot } from "react-dom/client";
import { ConduitProvider, useConduit } from "../../sdk/src/adapters/react.ts";
import { type Conduit, createConduit } from "../../sdk/src/index.ts";

/** What the test reads. */
interface Witness {
  readonly problems: string[];
  readonly states: string[];
  /** Different `fetchWithAuth` functions that renders have seen. */
  readonly fetches: Set<unknown>;
}
declare global {
  interface Window {
    witness?: Witness;
  }
}

function Profile(): ReactElement {
  const { fetchWithAuth, state, signOut } = useConduit();
  const [name, setName] = useState("nobody");
  if (typeof window !== "undefined") {
    window.witness?.states.push(state);
    window.witness?.fetches.add(fetchWithAuth);
  }
  useEffect(() => {
    const controller = new AbortController();
    fetchWithAuth("/me", { signal: controller.signal })
      .then((response) => response.json() as Promise<{ name: string }>)
      .then((me) => setName(me.name))
      // Strict Mode ends the first effect at once.
      .catch((error: unknown) => controller.signal.aborted || window.witness?.problems.push(String(error)));
    return () => controller.abort();
  }, [fetchWithAuth]);
  return createElement(
    "main",
    null,
    createElement("p", { id: "state" }, state),
    createElement("p", { id: "name" }, name),
    createElement("button", { type: "button", onClick: () => void signOut() }, "Sign out"),
    createElement("button", { type: "button", onClick: () => void fetchWithAuth("/me") }, "Load"),
  );
}

/** The app, in Strict Mode: React runs every effect twice. */
export function app(conduit: Conduit): ReactElement {
  return createElement(StrictMode, null, createElement(ConduitProvider, { conduit }, createElement(Profile)));
}

/** A client of the link `link` of this origin. */
export function open(origin: string): Conduit {
  return createConduit({
    url: `${origin}/link`,
    getToken: async () => {
      const response = await fetch(`${origin}/token`);
      return response.status === 401 ? null : ((await response.json()) as { token: string });
    },
  });
}

if (typeof window !== "undefined") {
  window.witness = { problems: [], states: [], fetches: new Set() };
  const report = (error: unknown) => window.witness?.problems.push(String(error));
  const root = document.getElementById("root");
  const options = { onRecoverableError: report, onUncaughtError: report };
  if (root) hydrateRoot(root, app(open(location.origin)), options);
}
