import type { Log } from "../log.ts";
import type { EncodedResource } from "../model/config-digest.ts";
import type { ConfigChange, ConfigResource } from "../model/config-resource.ts";
import { projectOf, signingKeyName } from "../model/resource-name.ts";
import type { Random } from "../random.ts";
import { type FleetPlace, resealForFleet } from "../sealing/fleet-key.ts";
import type { SealingKey } from "../sealing/sealing-key.ts";
import { lockConfigCurrentOf } from "../store/config-current.ts";
import { knownHead, lockConfigHead, setConfigEpoch } from "../store/config-head.ts";
import type { Tx } from "../store/database.ts";
import { decodeConfigResource } from "../wire/config.ts";
import { appendChanges } from "./append.ts";
import type { FleetKeys } from "./fleet-keys.ts";

export interface RotationEffects {
  readonly fleet: FleetKeys;
  readonly random: Random;
  readonly log: Log;
}

/** Changes in one transaction of the log. */
const BATCH = 2_000;

interface Keys {
  readonly old: SealingKey;
  readonly fresh: SealingKey;
}

/**
 * Replaces the fleet key: everything that is sealed in the configuration is sealed under the new one, and a new epoch begins,
 * so that every stream ends, every proxy that may gets the new key with its next Hello, and none is sent anything that only
 * the old key opens. The last statements of a transaction.
 * @returns the sequence of the configuration under the new key
 */
export async function rotateFleetKey(tx: Tx, { fleet, random, log }: RotationEffects): Promise<bigint> {
  const keys = await fleet.replaceKey(tx);
  // All rows before the first append: that one locks the head, behind which nobody may wait for a row of ours.
  const sealed = [...(await lockConfigCurrentOf(tx, "assertion_key")), ...(await lockConfigCurrentOf(tx, "secret"))];
  for (let at = 0; at < sealed.length; at += BATCH)
    await appendChanges(
      tx,
      sealed.slice(at, at + BATCH).flatMap((resource) => resealed(resource, keys, random, log)),
    );
  const head = knownHead(await lockConfigHead(tx));
  return (await setConfigEpoch(tx, random.uuid(), head)).sequence;
}

/** Nothing for what the old key does not open: no proxy can read it, and a revocation must not fail for it. */
function resealed({ kind, name, payload }: EncodedResource, keys: Keys, random: Random, log: Log): ConfigChange[] {
  try {
    return [{ op: "upsert", resource: underNewKey(decodeConfigResource(kind, payload), keys, random) }];
  } catch (err) {
    log.error(
      { err, resource: name },
      "a value in the configuration does not open under the fleet key, and stays as it is",
    );
    return [];
  }
}

function underNewKey(resource: ConfigResource, keys: Keys, random: Random): ConfigResource {
  const reseal = (sealed: Uint8Array, place: FleetPlace) => resealForFleet(keys, sealed, place, random);
  if (resource.kind === "assertion_key") {
    const place = { resource: signingKeyName(projectOf(resource.name), resource.kid), value: "value" } as const;
    return { ...resource, sealedPrivateJwk: reseal(resource.sealedPrivateJwk, place) };
  }
  if (resource.kind !== "secret") throw new TypeError("nothing else is sealed");
  const { name, sealedValue, sealedNextValue } = resource;
  const next = sealedNextValue && { sealedNextValue: reseal(sealedNextValue, { resource: name, value: "next_value" }) };
  return { ...resource, sealedValue: reseal(sealedValue, { resource: name, value: "value" }), ...next };
}
