"use client";
import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useMemo,
  useSyncExternalStore,
} from "react";
import type { Conduit } from "../client.ts";

/** What {@link useConduit} answers. */
export type UseConduit = Pick<Conduit, "fetchWithAuth" | "state" | "signOut">;

/** Properties of {@link ConduitProvider}. */
export interface ConduitProviderProps {
  /** Made once, outside of components: `const conduit = createConduit({ … })`. One per user where pages are rendered on a server. */
  readonly conduit: Conduit;
  readonly children?: ReactNode;
}

const ConduitContext = createContext<UseConduit | undefined>(undefined);

/**
 * Gives `conduit` to every {@link useConduit} below it. Does not dispose it: who made it does. No token gets into React's state.
 * On a server, and for the first render in the browser, `state` is `empty`, so that both render the same.
 */
export function ConduitProvider({ conduit, children }: ConduitProviderProps): ReactElement {
  const { subscribe, fetchWithAuth } = useMemo(() => watch(conduit), [conduit]);
  const state = useSyncExternalStore(
    subscribe,
    () => conduit.state,
    () => "empty" as const,
  );
  const value = useMemo(() => ({ fetchWithAuth, state, signOut: conduit.signOut }), [fetchWithAuth, conduit, state]);
  return createElement(ConduitContext.Provider, { value }, children);
}

/**
 * `{ fetchWithAuth, state, signOut }` of the nearest {@link ConduitProvider}; renders again when `state` changes. `fetchWithAuth` stays the
 * same function, so it may stand in the dependencies of an effect. Throws an `Error` outside of a provider.
 */
export function useConduit(): UseConduit {
  const value = useContext(ConduitContext);
  if (!value) throw new Error("useConduit() needs a <ConduitProvider conduit={…}> above it");
  return value;
}

interface Watched {
  readonly subscribe: (onChange: () => void) => () => void;
  readonly fetchWithAuth: Conduit["fetchWithAuth"];
}

/** Tells of each change of state: by the client's events, and of a refresh that a call begins, which has no event, by looking after the call. */
function watch(conduit: Conduit): Watched {
  const listeners = new Set<() => void>();
  return {
    subscribe(onChange) {
      const stops = (["change", "refresh", "lost"] as const).map((type) => conduit.on(type, onChange));
      listeners.add(onChange);
      return () => {
        listeners.delete(onChange);
        for (const stop of stops) stop();
      };
    },
    fetchWithAuth(input, init) {
      const answer = conduit.fetchWithAuth(input, init);
      for (const listener of listeners) listener();
      return answer;
    },
  };
}
