import type { ConfigChange } from "../model/config-resource.ts";
import { assertionKeyName, signingKeyName } from "../model/resource-name.ts";
import { sealForFleet } from "../sealing/fleet-key.ts";
import { getConfigCurrent } from "../store/config-current.ts";
import type { Reader, Tx } from "../store/database.ts";
import { hasLinkWithAssertion } from "../store/links.ts";
import { getProject } from "../store/projects.ts";
import { activeSigningKey, type SigningKeyRow } from "../store/signing-keys.ts";
import { decodeConfigResource } from "../wire/config.ts";
import type { Deps } from "./deps.ts";
import { found } from "./resource-path.ts";
import { openPrivateJwk } from "./signing-keys.ts";

/**
 * What the proxies get of the key that signs a project's assertions: the key while a link asks for them, else that it is
 * gone. Nothing when they have the very key already, since it is sealed anew each time. The built-in issuer must be locked.
 */
export async function assertionKeyChanges(deps: Deps, tx: Tx, project: string): Promise<ConfigChange[]> {
  const name = assertionKeyName(project);
  if (!(await hasLinkWithAssertion(tx, project))) return [{ op: "delete", kind: "assertion_key", name }];
  const active = await activeSigningKey(tx, project, "ASSERTION");
  if (active === undefined) throw new TypeError("the project has no key for assertions");
  return (await heldKid(tx, name)) === active.kid ? [] : [await assertionKeyUpsert(deps, tx, active)];
}

/** The private half leaves the control plane here, sealed under the fleet key and for this kid alone. */
export async function assertionKeyUpsert(deps: Deps, tx: Tx, key: SigningKeyRow): Promise<ConfigChange> {
  const { project, kid, algorithm } = key;
  const { issuer: iss } = found(await getProject(tx, project));
  const privateJwk = await openPrivateJwk(deps, tx, key);
  const place = { resource: signingKeyName(project, kid), value: "value" } as const;
  const sealedPrivateJwk = sealForFleet(await deps.fleet.keyForWriting(tx), privateJwk, place, deps.random);
  const name = assertionKeyName(project);
  return { op: "upsert", resource: { kind: "assertion_key", name, iss, kid, algorithm, sealedPrivateJwk } };
}

/** The kid that the proxies hold; undefined = none. */
async function heldKid(reader: Reader, name: string): Promise<string | undefined> {
  const held = await getConfigCurrent(reader, { kind: "assertion_key", name });
  const resource = held && decodeConfigResource("assertion_key", held.payload);
  return resource?.kind === "assertion_key" ? resource.kid : undefined;
}
