import { ConduitError } from "./errors.ts";

/** `BodyInit`, which the types of Node do not know by name. */
export type FetchBody = NonNullable<RequestInit["body"]>;

/** A body `fetch` takes, an async iterable (Node), or a function that makes one anew for each attempt: that makes streams replayable. */
export type ConduitBody = FetchBody | AsyncIterable<Uint8Array> | (() => ConduitBodyValue | Promise<ConduitBodyValue>);
/** What such a function makes. */
export type ConduitBodyValue = FetchBody | AsyncIterable<Uint8Array> | null;

/** What one attempt sends. */
export interface Payload {
  /** The caller's `Request` (or a clone) instead of URL and body. */
  readonly request?: Request;
  readonly init: { readonly body?: FetchBody | null; readonly duplex?: "half" };
}

/** Gives the body of each attempt of one call. */
export interface BodySource {
  /** Whether there is only one attempt in it. */
  readonly oneShot: boolean;
  next(): Payload | Promise<Payload>;
  /** The same body for another URL, detached from the caller's `Request`. Throws `body_not_replayable` when it is one-shot. */
  detach(): BodySource;
  /** Frees what was kept for attempts that did not come. */
  release(): void;
}

/** No body at all: also after a redirect that turns the method into GET. */
export const noBody: BodySource = source(() => ({ init: {} }));

/** How a call's body is sent again: by value, by factory, by cloning the `Request` (only if `replayable`), or not at all. */
export function bodySource(
  body: ConduitBody | null | undefined,
  request: Request | undefined,
  method: string,
  replayable = true,
): BodySource {
  if (typeof body === "function") return source(() => Promise.resolve(body()).then(payload));
  if (body !== undefined) return isStream(body) ? oneShot(payload(body)) : source(() => payload(body));
  if (!request) return noBody;
  const bodyless = request.body === null || /^(get|head)$/i.test(method);
  if (bodyless) return source(() => ({ request, init: {} }), { detach: () => noBody });
  return replayable ? cloning(request) : oneShot({ request, init: {} });
}

function source(next: BodySource["next"], parts: Partial<BodySource> = {}): BodySource {
  const self: BodySource = { oneShot: false, next, detach: () => self, release() {}, ...parts };
  return self;
}

function oneShot(only: Payload): BodySource {
  return source(() => only, {
    oneShot: true,
    detach() {
      throw new ConduitError("body_not_replayable", "The stream is spent; pass a function");
    },
  });
}

/** Always keeps one unread clone: the platform can neither rewind a `Request` nor clone it once read. */
function cloning(request: Request): BodySource {
  let unread = request;
  const next = () => {
    const current = unread;
    unread = current.clone();
    return { request: current, init: {} };
  };
  return source(next, {
    detach() {
      const bytes = unread.arrayBuffer();
      return source(() => bytes.then(payload));
    },
    // Not awaited: cancelling one branch of a tee waits for the other.
    release: () => void unread.body?.cancel().catch(() => {}),
  });
}

/** `duplex` is demanded by Node for streams; elsewhere it is ignored. */
function payload(body: ConduitBodyValue): Payload {
  return { init: { body: body as FetchBody | null, ...(isStream(body) && { duplex: "half" as const }) } };
}

/** Streams by what they can do: a web stream, an async iterable (Node's streams are). Everything else `fetch` takes may be sent again. */
function isStream(body: unknown): boolean {
  if (typeof body !== "object" || body === null) return false;
  return "getReader" in body || Symbol.asyncIterator in body;
}
