// What the benchmark's processes say to one another over IPC.

/** From any process, once it accepts connections (0 = it has no port). */
export interface Ready {
  readonly ready: true;
  readonly port: number;
}

/** CPU time of the process so far, by its own accounting. */
export interface CpuAnswer {
  readonly cpuMicros: number;
}

/** Asked of the load generator. */
export interface LoadOrder {
  readonly port: number;
  readonly durationMs: number;
  /**
   * `closed`: each connection sends its next request when it has its answer. `open`: at a fixed rate. `once`: as `closed`,
   * each request of the list once, and `status` is the answer that counts as completed.
   */
  readonly mode:
    | { readonly kind: "closed"; readonly connections: number }
    | { readonly kind: "open"; readonly perSecond: number }
    | { readonly kind: "once"; readonly connections: number; readonly status: number };
  /** Which list of requests, as told before. */
  readonly workload: string;
}

/** Tells the load generator a list of whole requests, base64; they are sent in turn. */
export interface WorkloadOrder {
  readonly workload: string;
  readonly requests: readonly string[];
}

export interface LoadAnswer {
  readonly completed: number;
  /** Answers by status other than 200, and `lost` for connections that broke. */
  readonly failures: Readonly<Record<string, number>>;
  /** Milliseconds, ascending, at most 10,000 of them. */
  readonly latenciesMs: readonly number[];
}

/** Asked of the verifier: verify so many unseen tokens each way. */
export interface VerifyOrder {
  readonly verify: number;
}

/** CPU per token. */
export interface VerifyAnswer {
  readonly conduitMicros: number;
  readonly joseMicros: number;
}

/** Tells the gRPC load generator a call; it is sent again and again. */
export interface GrpcWorkloadOrder {
  readonly workload: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Encoded message, base64. */
  readonly request: string;
  /** Header; "" = none. */
  readonly authorization: string;
}

/** Asked of the benchmark's control plane: deeds over its own pool, by so many clients at a time. */
export interface DeedOrder {
  /** `refresh`: of a session, by the service. `update`: a transaction that changes one row. */
  readonly deed: "refresh" | "update";
  readonly clients: number;
  readonly durationMs: number;
}

export interface DeedAnswer {
  readonly completed: number;
}

/** What a caller of the benchmark's control plane needs. */
export interface ControlSetup {
  readonly parent: string;
  readonly link: string;
  readonly apiKey: string;
}

/** Asked of the look-ups: measure once. */
export type LookupOrder = "lookups";

/** CPU of one look-up of each kind. */
export interface LookupAnswer {
  readonly routeNs: number;
  readonly compileMs: number;
  readonly matchMicros: number;
}

/** Asked of the SDK's calls: measure one batch. */
export type CallsOrder = "calls";

/** CPU of one call, by `fetch` alone and through the SDK. */
export interface CallsAnswer {
  readonly plainMicros: number;
  readonly conduitMicros: number;
}

/** In a child: tells the parent that it is ready and answers its questions for CPU time. */
export function serveParent(port: number): void {
  process.on("message", (message) => {
    if (message !== "cpu") return;
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMicros: user + system } satisfies CpuAnswer);
  });
  process.on("disconnect", () => process.exit());
  process.send?.({ ready: true, port } satisfies Ready);
}
