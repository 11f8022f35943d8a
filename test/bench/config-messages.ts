// What the processes of the config benchmark are asked, and answer, over IPC.

/** Asked of the control plane: a proxy's credential. */
export interface ConfigServerSetup {
  readonly proxyCredential: string;
}

/** Memory of the process after forced collection, shared memory included. */
export interface MemoryAnswer {
  readonly residentBytes: number;
}

/** Asked of the simulator. */
export type SubscribersOrder =
  /** Opens streams until there are so many, spread over the ports in turn; those there are stay. */
  | {
      readonly deed: "connect";
      readonly count: number;
      readonly ports: readonly number[];
      readonly credential: string;
    }
  /** Cuts every connection and comes back at once, over the ports; `cold`: without a cursor, as if it held nothing. */
  | { readonly deed: "reconnect"; readonly ports: readonly number[]; readonly isCold: boolean }
  /** Waits until everyone is at the last of these changes and says how long each took to each subscriber. */
  | { readonly deed: "delays"; readonly commits: readonly Commit[] };

/** A change and when its transaction began to commit, on `process.hrtime`'s clock, which all processes share. */
export interface Commit {
  readonly sequence: number;
  readonly atMs: number;
}

/** Milliseconds until each subscriber held the whole current state again, ascending. */
export interface ConnectedAnswer {
  readonly delaysMs: readonly number[];
  /** Attempts that the control plane, or this machine, turned away; they came again. */
  readonly refused: number;
  /** Whatever must not happen: a hole, a digest that is another. */
  readonly problems: readonly string[];
}

/** Over all changes and subscribers, milliseconds. */
export interface DelaysAnswer {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  readonly problems: readonly string[];
}

/** Asked of the proxy: answer when it serves, and when it has come to rest after that. */
export type ConfigProxyOrder = "ready" | "rest";

export interface ReadyAnswer {
  /** From the start of the process. */
  readonly sinceProcessMs: number;
  /** From the start of the data plane. */
  readonly sincePlaneMs: number;
  /** Of the process until then, by its own accounting. */
  readonly cpuMs: number;
}

export interface RestAnswer extends MemoryAnswer {
  readonly links: number;
  readonly rejected: number;
  /** Before the forced collection, and at most until then. */
  readonly uncollectedBytes: number;
  readonly peakBytes: number;
  /** The event loop's longest pause so far. */
  readonly pauseMsMax: number;
  readonly pauseMsP99: number;
}

/** Milliseconds on the clock that all processes of the machine share. */
export const sharedNowMs = (): number => Number(process.hrtime.bigint()) / 1e6;
