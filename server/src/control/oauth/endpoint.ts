import type { Log } from "../../log.ts";
import { ConduitError } from "../../model/errors.ts";
import type { PlainAnswer, PlainRequest, PlainRoute } from "../../model/plain-http.ts";
import type { Random } from "../../random.ts";
import { faultOfCall } from "./call-fault.ts";
import { faultAnswer, OAuthFault } from "./fault.ts";
import { type Form, readForm } from "./form.ts";

/** A request to an endpoint of one project, read. */
export interface EndpointRequest {
  readonly request: PlainRequest;
  readonly form: Form;
  /** Id. */
  readonly project: string;
  /** Joins the answer to the log and the audit trail. */
  readonly requestId: string;
}

/** What an endpoint does with a request. May throw what a call to the API throws. */
export type Endpoint = (request: EndpointRequest) => Promise<PlainAnswer | OAuthFault>;

const PATH = /^\/p\/([a-z][a-z0-9-]{1,38}[a-z0-9])\/oauth\/([a-z]+)$/;

/** Serves `<issuer>/oauth/<name>`, whatever comes before it in the public URL. */
export function createEndpointRoute(endpoints: ReadonlyMap<string, Endpoint>, log: Log, random: Random): PlainRoute {
  return async (request) => {
    const [, project = "", name = ""] = PATH.exec(request.path) ?? [];
    const endpoint = endpoints.get(name);
    if (endpoint === undefined) return undefined;
    const requestId = random.uuid();
    const outcome = await answer(endpoint, request, project, requestId).catch((thrown: unknown) =>
      faultOfThrown(thrown, requestId, log),
    );
    const told = outcome instanceof OAuthFault ? faultAnswer(outcome) : outcome;
    return { ...told, headers: { ...told.headers, "X-Request-ID": requestId } };
  };
}

async function answer(
  endpoint: Endpoint,
  request: PlainRequest,
  project: string,
  requestId: string,
): Promise<PlainAnswer | OAuthFault> {
  if (request.method !== "POST")
    return new OAuthFault("invalid_request", "Use POST", { status: 405, headers: { Allow: "POST" } });
  const form = await readForm(request);
  return form instanceof OAuthFault ? form : endpoint({ request, form, project, requestId });
}

function faultOfThrown(thrown: unknown, requestId: string, log: Log): OAuthFault {
  if (thrown instanceof ConduitError && thrown.code === "body_too_large")
    return new OAuthFault("invalid_request", thrown.detail, { status: 413 });
  try {
    return faultOfCall(thrown);
  } catch (cause) {
    log.error({ err: cause, request_id: requestId }, "oauth endpoint failed");
    return new OAuthFault("server_error", "A fault of ours; the request id joins it to the log");
  }
}
