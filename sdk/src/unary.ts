/** What a unary call needs. */
export interface UnaryCall {
  /** `<base>/<package>.<Service>/<Method>`. */
  readonly url: string;
  /** The request message in proto JSON. */
  readonly message: unknown;
  /** Further request headers, above all `Authorization`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Told to the server (`Connect-Timeout-Ms`); the caller's signal enforces it here. */
  readonly timeoutMs: number;
}

/** The answer, not yet judged: `body` is `undefined` when it was no JSON. */
export interface UnaryAnswer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * One unary call of the Connect protocol in its JSON form: a POST. Redirects are an error, for the credential must not follow them.
 * Rejects with what `fetch` rejects with, and `TypeError` for a redirect. https://connectrpc.com/docs/protocol
 */
export async function callUnary(fetch: typeof globalThis.fetch, call: UnaryCall): Promise<UnaryAnswer> {
  const response = await fetch(call.url, {
    method: "POST",
    // Not "error", which workerd does not know.
    redirect: "manual",
    signal: call.signal,
    headers: {
      ...call.headers,
      "Content-Type": "application/json",
      "Connect-Protocol-Version": "1",
      "Connect-Timeout-Ms": String(call.timeoutMs),
    },
    body: JSON.stringify(call.message),
  });
  const { type, status } = response;
  if (type === "opaqueredirect" || (status >= 300 && status < 400)) throw new TypeError("The answer is a redirect");
  const text = await response.text();
  return { status, body: parseJson(text) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
