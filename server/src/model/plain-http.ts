/** A request to one of the HTTP port's own routes (JWKS, the page), as plain values. */
export interface PlainRequest {
  readonly method: string;
  /** Path without query, as received. */
  readonly path: string;
  /** IP address of the client: of the peer, or as a trusted proxy says; "" = it is gone. */
  readonly clientAddress: string;
  /** Value of a header by lower-case name. */
  header(name: string): string | undefined;
  /** The whole body as text; rejects above 64 KiB. */
  body(): Promise<string>;
}

/** Its answer, small enough to be held in memory. */
export interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** Values of `Set-Cookie`, a line each; default: none. */
  readonly cookies?: readonly string[];
}

/** A route: undefined = not mine, ask the next. */
export type PlainRoute = (request: PlainRequest) => Promise<PlainAnswer | undefined>;
