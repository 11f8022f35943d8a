import type { Log } from "../../log.ts";
import { ConduitError } from "../../model/errors.ts";
import type { PlainAnswer, PlainRequest, PlainRoute } from "../../model/plain-http.ts";
import type { Random } from "../../random.ts";
import type { Store } from "../../store/store.ts";
import { faultOfCall } from "./call-fault.ts";
import { type ClientReader, hasCredential, type OAuthClient } from "./client.ts";
import { type CookiePage, type CookieSession, readCookiePage, readCookieSession } from "./cookie-page.ts";
import { corsHeaders, preflightAnswer } from "./cors.ts";
import { faultAnswer, OAuthFault } from "./fault.ts";
import { type Form, readForm } from "./form.ts";

/** A request to an endpoint of one project by a client that is known. */
export interface EndpointRequest {
  readonly request: PlainRequest;
  readonly form: Form;
  readonly client: OAuthClient;
  /** Id. */
  readonly project: string;
  /** Joins the answer to the log and the audit trail. */
  readonly requestId: string;
  /** Where the app keeps its session when not in its own memory; undefined = tokens travel in the body. */
  readonly cookies: CookieSession | undefined;
}

/** What an endpoint does with a request. May throw what a call to the API throws. */
export type Endpoint = (request: EndpointRequest) => Promise<PlainAnswer | OAuthFault>;

/** What serving endpoints takes. */
export interface EndpointParts {
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  readonly clients: ClientReader;
  readonly store: Store;
  readonly log: Log;
  readonly random: Random;
}

const PATH = /^\/p\/([a-z][a-z0-9-]{1,38}[a-z0-9])\/oauth\/([a-z]+)$/;

/** Serves `<issuer>/oauth/<name>`, whatever comes before it in the public URL. */
export function createEndpointRoute(parts: EndpointParts): PlainRoute {
  return async (request) => {
    const [, project = "", name = ""] = PATH.exec(request.path) ?? [];
    if (!parts.endpoints.has(name)) return undefined;
    const page = await readCookiePage(parts.store, project, request);
    const preflight = preflightAnswer(request, name, page);
    if (preflight !== undefined) return preflight;
    const call = new EndpointCall(parts, request, { project, name, page });
    const outcome = await call.run().catch((thrown: unknown) => faultOfThrown(thrown, call.requestId, parts.log));
    const told = outcome instanceof OAuthFault ? faultAnswer(outcome) : outcome;
    return { ...told, headers: { ...told.headers, ...call.cors, "X-Request-ID": call.requestId } };
  };
}

/** Where a request goes, and the page that it comes from if that may use cookies. */
interface At {
  readonly project: string;
  readonly name: string;
  readonly page: CookiePage | undefined;
}

/** One request on its way; what is known of the page that sent it counts for refusals too. */
class EndpointCall {
  readonly requestId: string;
  readonly #parts: EndpointParts;
  readonly #request: PlainRequest;
  readonly #at: At;
  #cors: Readonly<Record<string, string>> | OAuthFault;

  constructor(parts: EndpointParts, request: PlainRequest, at: At) {
    this.requestId = parts.random.uuid();
    this.#parts = parts;
    this.#request = request;
    this.#at = at;
    this.#cors = corsHeaders(request, at.name, undefined, at.page);
  }

  /** Headers that make the answer readable for the page, if it may read it. */
  get cors(): Readonly<Record<string, string>> {
    return this.#cors instanceof OAuthFault ? {} : this.#cors;
  }

  async run(): Promise<PlainAnswer | OAuthFault> {
    const { project, name, page } = this.#at;
    const request = this.#request;
    if (request.method !== "POST")
      return new OAuthFault("invalid_request", "Use POST", { status: 405, headers: { Allow: "POST" } });
    const form = await readForm(request);
    if (form instanceof OAuthFault) return form;
    // Who has a secret is no page: nobody's scripts get to read its answers.
    if (hasCredential(request, form)) this.#cors = {};
    const client = await this.#parts.clients(request, form, project);
    if (client instanceof OAuthFault) return client;
    const app = "link" in client ? client : undefined;
    if (app !== undefined) this.#cors = corsHeaders(request, name, app, page);
    if (this.#cors instanceof OAuthFault) return this.#cors;
    const cookies = readCookieSession(request, form, page, app);
    if (cookies instanceof OAuthFault) return cookies;
    const endpoint = this.#parts.endpoints.get(name);
    if (endpoint === undefined) throw new TypeError(`there is no endpoint ${name}`);
    return endpoint({ request, form, client, project, requestId: this.requestId, cookies });
  }
}

/** A failure of an endpoint as its client is told it; what no client has caused is logged. */
export function faultOfThrown(thrown: unknown, requestId: string, log: Log): OAuthFault {
  if (thrown instanceof ConduitError && thrown.code === "body_too_large")
    return new OAuthFault("invalid_request", thrown.detail, { status: 413 });
  try {
    return faultOfCall(thrown);
  } catch (cause) {
    log.error({ err: cause, request_id: requestId }, "oauth endpoint failed");
    return new OAuthFault("server_error", "A fault of ours; the request id joins it to the log");
  }
}
