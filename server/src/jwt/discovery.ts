import { ConduitError } from "../model/errors.ts";
import type { FetchedDocument } from "../outbound/capped-fetch.ts";
import { parseJsonObject } from "./key-set.ts";

/** Where OpenID Connect Discovery 1.0, 4 puts an issuer's document. */
export const discoveryUrlOf = (issuerUrl: string): string =>
  `${issuerUrl.replace(/\/$/, "")}/.well-known/openid-configuration`;

/**
 * Address of the keys in an issuer's discovery document. The document must name exactly this issuer (4.3): else whoever
 * gets to answer for one issuer could pass another's keys off as its own. Where `jwks_uri` leads is the fetch's to judge.
 * Throws `upstream_invalid`.
 */
export function readJwksUri({ status, body }: FetchedDocument, issuerUrl: string): string {
  if (status !== 200) throw invalid(`The discovery document was answered with status ${status}`);
  const document = parseJsonObject(body);
  if (document === undefined) throw invalid("The discovery document is not a JSON object");
  if (document.issuer !== issuerUrl) throw invalid("The discovery document is another issuer's");
  if (typeof document.jwks_uri !== "string") throw invalid("The discovery document has no jwks_uri");
  return document.jwks_uri;
}

const invalid = (detail: string): ConduitError => new ConduitError("upstream_invalid", { detail });
