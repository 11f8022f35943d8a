import type { Routed } from "../judge/judged-request.ts";
import type { AnswerHead, ProxyRequest } from "./exchange.ts";
import type { RequestHead } from "./request-head.ts";
import type { RequestTarget } from "./request-target.ts";
import type { ServedLink } from "./served-link.ts";
import type { UpstreamAnswer, UpstreamRequest } from "./upstream/upstream-exchange.ts";
import type { Handshake } from "./websocket/handshake.ts";

// What each stage adds to the value of the one before. Stages 4-7 add the fields of `judge/judged-request.ts`.

/** Made by `accept`: a request that is well-formed HTTP. */
export interface Accepted {
  readonly incoming: ProxyRequest;
  /** Ours; what the client sent under this name is never used. */
  readonly requestId: string;
  readonly head: RequestHead;
  readonly target: RequestTarget;
  readonly clientAddress: string;
  /** Declared length in bytes, `chunked`, or 0. */
  readonly bodyLength: number | "chunked";
  /** Undefined = an ordinary request. */
  readonly handshake: Handshake | undefined;
}

/** Added by `route`: the link, and what its policy is asked about. */
export interface WithLink extends Routed {
  readonly accepted: Accepted;
  readonly served: ServedLink;
}

/** Added by `cors`: what the answer says to pages of other origins. */
export interface WithCors {
  readonly cors: {
    /** Header lines of every answer. */
    readonly lines: readonly string[];
    /** Header lines of the answer to a preflight, which is given before any token; undefined = it is none. */
    readonly preflight: readonly string[] | undefined;
  };
}

/** Added by `limit`: `RateLimit` header lines of every answer from here on. */
export interface WithLimits {
  readonly limitLines: readonly string[];
}

/** Added by `attach`: the request as it goes out. */
export interface WithOutgoing {
  readonly outgoing: UpstreamRequest;
}

/** Added by `forward`: the upstream's answer, its body still to come. */
export interface WithUpstreamAnswer {
  readonly upstreamAnswer: UpstreamAnswer;
}

/** Added by `respond`: the answer's head as the client gets it. */
export interface WithAnswer {
  readonly answer: AnswerHead;
  /** Header lines in which the upstream sent a hidden credential back. */
  readonly echoes: number;
}
