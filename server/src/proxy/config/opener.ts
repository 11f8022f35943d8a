import { type AssertionKey, readAssertionKey } from "../../jwt/assertion.ts";
import type { SecretVersions } from "../../jwt/trust.ts";
import type { EncodedResource } from "../../model/config-digest.ts";
import type { ConfigResource } from "../../model/config-resource.ts";
import { projectOf, signingKeyName } from "../../model/resource-name.ts";
import { openForProxy } from "../../sealing/fleet-key.ts";
import type { SealingKey } from "../../sealing/sealing-key.ts";
import { decodeConfigResource, encodeConfigResource } from "../../wire/config.ts";
import { readLinkOutline } from "../../wire/link-outline.ts";
import { payloadText } from "./kept-resource.ts";
import { type OpenedResource, type StoredResource, usedBy } from "./resource-set.ts";

/**
 * Reads a resource as it came, and opens its secrets.
 * @throws ConduitError `field_invalid` when it cannot be read; SealingError under another fleet key
 */
export function openResource({ kind, name, payload }: EncodedResource, fleetKey: SealingKey): StoredResource {
  const resource = decodeConfigResource(kind, payload);
  // A payload under another's name would slip past every rule about that other.
  if (resource.name !== name) throw new TypeError("the payload is another resource's");
  switch (resource.kind) {
    case "revocation":
      // Those that can be read whole never come here.
      throw new TypeError("the revocation holds what only a newer version knows");
    case "secret":
      return { kind: "secret", name, secret: openSecret(resource, fleetKey) };
    case "assertion_key":
      return { kind: "assertion_key", name, key: openKey(resource, fleetKey) };
    case "link":
      return openNewLink({ name, payload });
    case "link_token":
      return { kind: "link_token", name, payload: payloadText(payload) };
    case "issuer":
      return resource;
  }
}

/** A decoded resource as it is kept. */
export function storedOf(resource: OpenedResource): StoredResource {
  const { kind, name } = resource;
  if (kind === "issuer" || kind === "secret" || kind === "assertion_key") return resource;
  const bytes = encodeConfigResource(resource);
  const payload = payloadText(bytes);
  return kind === "link" ? openNewLink({ name, payload: bytes }) : { kind, name, payload };
}

/**
 * A link of which no version is served, without reading all of it: that is done when it is compiled, and one that cannot be
 * read is rejected then, as one that cannot be compiled is.
 * @throws ConduitError `field_invalid`, TypeError when it is another's payload
 */
export function openNewLink({ name, payload }: Pick<EncodedResource, "name" | "payload">): StoredResource {
  const outline = readLinkOutline(payload);
  if (outline.name !== name) throw new TypeError("the payload is another resource's");
  return { kind: "link", name, payload: payloadText(payload), uses: usedBy(outline) };
}

function openSecret(secret: ConfigResource & { kind: "secret" }, fleetKey: SealingKey): SecretVersions {
  const { name, sealedValue, sealedNextValue } = secret;
  const current = openForProxy(fleetKey, sealedValue, { resource: name, value: "value" });
  if (sealedNextValue === undefined) return { current };
  return { current, next: openForProxy(fleetKey, sealedNextValue, { resource: name, value: "next_value" }) };
}

/** Sealed for its kid: a key cannot be passed off under another's name. */
function openKey(resource: ConfigResource & { kind: "assertion_key" }, fleetKey: SealingKey): AssertionKey {
  const { name, kid, sealedPrivateJwk } = resource;
  const place = { resource: signingKeyName(projectOf(name), kid), value: "value" } as const;
  return readAssertionKey(resource, openForProxy(fleetKey, sealedPrivateJwk, place));
}
