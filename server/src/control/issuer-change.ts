import type { ConfigChange } from "../model/config-resource.ts";
import type { Issuer } from "../model/issuer.ts";
import { projectOf } from "../model/resource-name.ts";
import type { Reader } from "../store/database.ts";
import { publishedJwks } from "./signing-keys.ts";

/** What the proxies get of an issuer; the built-in one comes with its public keys, so that nobody fetches them. */
export async function issuerChange(reader: Reader, issuer: Issuer, nowMs: number): Promise<ConfigChange> {
  const { name } = issuer;
  if (issuer.keys.kind !== "built_in") return { op: "upsert", resource: { kind: "issuer", name, issuer } };
  const jwks = await publishedJwks(reader, projectOf(name), nowMs);
  return { op: "upsert", resource: { kind: "issuer", name, issuer, jwks } };
}
