import type { PlainRequest } from "../../model/plain-http.ts";
import { OAuthFault } from "./fault.ts";

/** RFC 8707 2, RFC 8693 2.1: the only parameters that may be sent several times. */
const REPEATABLE: readonly string[] = ["resource", "audience"];

/** The parameters of an OAuth request. One without a value counts as not sent (RFC 6749 3.2). */
export interface Form {
  get(name: string): string | undefined;
  all(name: string): readonly string[];
}

const MEDIA_TYPE = /^application\/x-www-form-urlencoded *(?:;|$)/i;

/** Reads the body of a request (RFC 6749 3.2, appendix B). */
export async function readForm(request: PlainRequest): Promise<Form | OAuthFault> {
  if (!MEDIA_TYPE.test(request.header("content-type") ?? ""))
    return new OAuthFault("invalid_request", "Send the parameters as application/x-www-form-urlencoded");
  const sent = new URLSearchParams(await request.body());
  // Whichever of two values were taken, a filter before us may have read the other (RFC 6749 3.2).
  const repeated = [...new Set(sent.keys())].find((name) => !REPEATABLE.includes(name) && sent.getAll(name).length > 1);
  if (repeated !== undefined) return new OAuthFault("invalid_request", "A parameter is sent more than once");
  return {
    get: (name) => sent.get(name) || undefined,
    all: (name) => sent.getAll(name).filter((value) => value !== ""),
  };
}
