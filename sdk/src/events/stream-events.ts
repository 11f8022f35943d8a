import { within } from "../abort.ts";
import type { Conduit } from "../client.ts";
import { ConduitError, isConduitError } from "../errors.ts";
import type { ConduitRequestInit } from "../fetch-with-auth.ts";
import { defaultPlatform, type Platform } from "../platform.ts";
import { retryAfterMs } from "../retry-after.ts";
import { createEventParser, type EventParser, type ServerEvent, type StreamItem } from "./event-parser.ts";

/** What the proxy says when it ends a stream whose token has expired. */
const expiredComment = "conduit token_expired";
const maxDelayMs = 60_000;
const maxRetryAfterMs = 300_000;
// A stream that ends at once, however it explains itself, is not asked for again at once.
const minStreamMs = 1000;

/** Options of {@link streamEvents}. */
export interface StreamEventsOptions {
  /** Ends the stream. */
  readonly signal?: AbortSignal;
  /** Method, body (a streamed one as a function, for it is sent with each attempt), further headers and so on. */
  readonly init?: Omit<ConduitRequestInit, "signal">;
  /** Gets each event; the next one is read when what it answers has settled. What it throws ends the stream. */
  onEvent(event: ServerEvent): unknown;
  /** Called for each connection that was made. */
  onOpen?(response: Response): void;
  /** Called before each wait for the next attempt, with what was the matter, if anything was. */
  onReconnect?(delayMs: number, cause: unknown): void;
  /** Where to go on: sent as `Last-Event-ID`, and from then on the last one of the stream. Default none. */
  readonly lastEventId?: string;
  /** Wait between attempts, in ms, until the stream says `retry:`. Default 3,000; doubled with each failure, to a minute at most. */
  readonly retryMs?: number;
  /** Longest event, in characters. Default 1,048,576; a longer one ends the stream for good. */
  readonly eventMaxChars?: number;
  /** Replaces parts of the runtime, for tests. */
  readonly platform?: Partial<Platform>;
}

/** A stream over its connections. */
interface Stream {
  readonly fetchWithAuth: Conduit["fetchWithAuth"];
  readonly path: string;
  readonly options: StreamEventsOptions;
  readonly platform: Platform;
  parser: EventParser;
  retryMs: number;
  failures: number;
}

/** How a connection ended: whether the next may be made at once, and how long a refusal asked to wait. */
interface Ending {
  readonly atOnce?: boolean;
  readonly waitMs?: number;
  readonly cause?: unknown;
}

/**
 * Server-sent events through `fetchWithAuth`, which `EventSource` cannot do for want of headers. Goes on over broken connections, answers 408,
 * 425, 429 and 5xx (`Retry-After` honoured), and the end of the token: then at once and with a fresh one, from the last event on.
 *
 * Resolves when the server answers 204, which means: no more. Rejects with the signal's reason, what `onEvent` threw, the errors of
 * `fetchWithAuth` that will not pass (`session_lost` …), and `events_refused` for any other answer, a fetch that cannot stream (React
 * Native's own; pass the one of `expo/fetch` as `platform.fetch` of the client), and an event beyond `eventMaxChars`. A refusal's
 * `response` is a property of the error.
 */
export async function streamEvents(
  { fetchWithAuth }: Pick<Conduit, "fetchWithAuth">,
  path: string,
  options: StreamEventsOptions,
): Promise<void> {
  const { lastEventId = "", retryMs = 3000, eventMaxChars = 2 ** 20, signal } = options;
  const platform = { ...defaultPlatform, ...options.platform };
  const parser = createEventParser(lastEventId, eventMaxChars);
  const stream: Stream = { fetchWithAuth, path, options, platform, parser, retryMs, failures: 0 };
  for (;;) {
    const ending = await connect(stream);
    if (!ending) return;
    const backoffMs = Math.min(stream.retryMs * 2 ** stream.failures, Math.max(maxDelayMs, stream.retryMs));
    const delayMs = ending.atOnce ? 0 : Math.max(backoffMs * (0.75 + platform.random() / 4), ending.waitMs ?? 0);
    options.onReconnect?.(delayMs, ending.cause);
    await within(platform, new Promise<never>(() => {}), delayMs, signal);
    // What the last connection broke off belongs to no event of the next.
    stream.parser = createEventParser(stream.parser.lastEventId, eventMaxChars);
  }
}

/** One connection, to its end; `undefined` = the server has no more. */
async function connect(stream: Stream): Promise<Ending | undefined> {
  const { fetchWithAuth, path, options, platform, parser } = stream;
  const { init, signal, onOpen } = options;
  const headers = new Headers(init?.headers);
  headers.set("Accept", "text/event-stream");
  if (parser.lastEventId) headers.set("Last-Event-ID", parser.lastEventId);
  let response: Response;
  try {
    response = await fetchWithAuth(path, { ...init, headers, ...(signal && { signal }) });
  } catch (cause) {
    if (signal?.aborted || (isConduitError(cause) && !cause.retryable)) throw cause;
    return failed(stream, { cause });
  }
  if (response.status === 204) return undefined;
  if (/^(408|425|429|5..)$/.test(`${response.status}`)) {
    void response.body?.cancel().catch(() => {});
    const askedMs = retryAfterMs(response, platform.now());
    return failed(stream, { cause: response, waitMs: Math.min(askedMs || 0, maxRetryAfterMs) });
  }
  const type = response.headers.get("Content-Type") ?? "";
  if (response.status !== 200 || !/^text\/event-stream\s*(;|$)/i.test(type))
    throw refused("Not an event stream", response);
  if (!response.body) throw refused("This fetch cannot stream", response);
  stream.failures = 0;
  onOpen?.(response);
  return read(stream, response, response.body.getReader());
}

function failed(stream: Stream, ending: Ending): Ending {
  stream.failures++;
  return ending;
}

function refused(what: string, response: Response): ConduitError {
  return Object.assign(new ConduitError("events_refused", `${what}: HTTP ${response.status}`), { response });
}

async function read(
  stream: Stream,
  response: Response,
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<Ending> {
  const { options, platform } = stream;
  const decoder = new TextDecoder();
  const openedMs = platform.monotonic();
  let hasExpired = false;
  for (;;) {
    let piece: Awaited<ReturnType<typeof reader.read>>;
    try {
      piece = await reader.read();
    } catch (cause) {
      if (options.signal?.aborted) throw cause;
      return failed(stream, { cause });
    }
    if (piece.done) return { atOnce: hasExpired && platform.monotonic() - openedMs >= minStreamMs };
    try {
      const hasTold = await take(stream, response, decoder.decode(piece.value, { stream: true }));
      hasExpired ||= hasTold;
    } catch (error) {
      void reader.cancel().catch(() => {});
      throw error;
    }
  }
}

/** Hands on what a piece holds; answers whether the proxy said that the token has expired. */
async function take(stream: Stream, response: Response, text: string): Promise<boolean> {
  let items: StreamItem[];
  let hasExpired = false;
  try {
    items = stream.parser.push(text);
  } catch (error) {
    throw refused(String(error), response);
  }
  for (const item of items) {
    if ("event" in item) await stream.options.onEvent(item.event);
    else if ("retryMs" in item) stream.retryMs = Math.min(item.retryMs, maxRetryAfterMs);
    else hasExpired ||= item.comment.trim() === expiredComment;
  }
  return hasExpired;
}
