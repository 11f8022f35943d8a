import { Client, type Dispatcher, errors } from "undici";
import { ConduitError } from "../model/errors.ts";
import type { Dialer } from "./dialer.ts";
import { targetUrlProblem } from "./target-url.ts";

export interface FetchJsonOptions {
  /** From the call to the last byte, resolving and connecting included. */
  readonly timeoutMs: number;
  /** Of the answer's body. */
  readonly maxBytes: number;
  /** The operator's word for this issuer. */
  readonly allowPrivate: boolean;
  /** Authorities (PEM) that sign the host's certificate, instead of the system's. */
  readonly caCertificates?: string;
  readonly signal?: AbortSignal;
}

export interface FetchedDocument {
  /** Any: also 3xx, which is never followed. */
  readonly status: number;
  /** Lower case names; repeated lines joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Strict UTF-8, at most `maxBytes` long; not parsed. */
  readonly body: string;
}

/**
 * Fetches a JSON document (JWKS, discovery) from a host that may be hostile. Redirects are not followed, compressed bodies
 * are refused (a bomb would pass the size cap), each call has its own connection. Throws `ConduitError`:
 * `upstream_address_refused`, `upstream_unreachable`, `upstream_timeout`, `upstream_invalid`; on abort the signal's reason.
 */
export type FetchJson = (url: string, options: FetchJsonOptions) => Promise<FetchedDocument>;

/** The one `FetchJson`, through the dialer. */
export function createFetchJson(dial: Dialer): FetchJson {
  return async (url, options) => {
    const problem = targetUrlProblem(url);
    if (problem !== undefined) throw new ConduitError("upstream_address_refused", { detail: `The URL ${problem}` });
    const { origin, pathname, search } = new URL(url);
    const timeout = AbortSignal.timeout(options.timeoutMs);
    const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
    const { allowPrivate, timeoutMs, caCertificates } = options;
    const connect = dial({
      ...{ allowPrivate, connectTimeoutMs: timeoutMs },
      ...(caCertificates !== undefined && { caCertificates }),
    });
    const client = new Client(origin, { connect, pipelining: 0 });
    try {
      const headers = { accept: "application/json", "accept-encoding": "identity", "user-agent": "conduit-link" };
      const answer = await client.request({ method: "GET", path: `${pathname}${search}`, headers, signal });
      return { ...headOf(answer), body: await readText(answer, options.maxBytes) };
    } catch (cause) {
      throw options.signal?.aborted === true ? options.signal.reason : failureOf(cause, timeout.aborted);
    } finally {
      // Destroys the socket too: nothing a hostile host still sends is read by anyone.
      await client.destroy();
    }
  };
}

function headOf(answer: Dispatcher.ResponseData): Omit<FetchedDocument, "body"> {
  const lines = Object.entries(answer.headers).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]],
  );
  return { status: answer.statusCode, headers: Object.fromEntries(lines) };
}

async function readText(answer: Dispatcher.ResponseData, maxBytes: number): Promise<string> {
  if ((answer.headers["content-encoding"] ?? "identity") !== "identity") throw invalid("The answer is compressed");
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) throw invalid(`The answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw invalid("The answer is not UTF-8", cause);
  }
}

const invalid = (detail: string, cause?: unknown): ConduitError =>
  new ConduitError("upstream_invalid", { detail, cause });

/** Our own codes for what undici and the operating system throw. */
function failureOf(cause: unknown, isTimeout: boolean): ConduitError {
  if (cause instanceof ConduitError) return cause;
  if (isTimeout || cause instanceof errors.ConnectTimeoutError) return new ConduitError("upstream_timeout", { cause });
  if (cause instanceof errors.HTTPParserError || cause instanceof errors.HeadersOverflowError) {
    return new ConduitError("upstream_invalid", { cause });
  }
  return new ConduitError("upstream_unreachable", { cause });
}
