import { SecretText } from "../model/secret-text.ts";
import type { Random } from "../random.ts";
import { type Binding, open, seal } from "./envelope.ts";
import type { SealingKey } from "./sealing-key.ts";

/** Which value of which resource: the proxy must not take one secret's value for another's. */
export interface FleetPlace {
  /** Resource name of the secret. */
  readonly resource: string;
  readonly value: "value" | "next_value";
}

const bindingOf = ({ resource, value }: FleetPlace): Binding => ["fleet", resource, value];

/** Seals a secret for the config stream: frames are shared by all proxies, so the values inside are not in clear. */
export const sealForFleet = (fleetKey: SealingKey, secret: SecretText, place: FleetPlace, random: Random): Uint8Array =>
  seal(fleetKey, Buffer.from(secret.reveal()), bindingOf(place), random);

/** Seals for another fleet key what an old one opens. @throws SealingError as `openForProxy` */
export function resealForFleet(
  { old, fresh }: { readonly old: SealingKey; readonly fresh: SealingKey },
  sealed: Uint8Array,
  place: FleetPlace,
  random: Random,
): Uint8Array {
  const bytes = open(old, sealed, bindingOf(place));
  const resealed = seal(fresh, bytes, bindingOf(place), random);
  bytes.fill(0);
  return resealed;
}

/** Opens a secret from the config stream. @throws SealingError under another fleet key or in another place */
export const openForProxy = (fleetKey: SealingKey, sealed: Uint8Array, place: FleetPlace): SecretText =>
  new SecretText(Buffer.from(open(fleetKey, sealed, bindingOf(place))).toString("utf8"));
