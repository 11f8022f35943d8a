import type { AssertionKey } from "../../jwt/assertion.ts";
import type { SecretVersions } from "../../jwt/trust.ts";
import type { ConfigResource } from "../../model/config-resource.ts";
import type { DebugKey } from "../../model/debug-key.ts";
import type { Issuer } from "../../model/issuer.ts";
import type { Link } from "../../model/link.ts";
import type { LinkToken } from "../../model/link-token.ts";
import { assertionKeyName, idOf, projectOf } from "../../model/resource-name.ts";
import { decodeConfigResource } from "../../wire/config.ts";
import { type LinkOutline, readLinkOutline } from "../../wire/link-outline.ts";
import { type PayloadText, payloadBytes } from "./kept-resource.ts";
import type { Steps } from "./slices.ts";

/** A decoded resource with its secrets opened. */
export type OpenedResource =
  | Exclude<ConfigResource, { kind: "secret" | "revocation" | "assertion_key" }>
  | { readonly kind: "secret"; readonly name: string; readonly secret: SecretVersions }
  | { readonly kind: "assertion_key"; readonly name: string; readonly key: AssertionKey };

/**
 * A resource that can be put in force, its secrets opened. Links and their tokens stay encoded until they are compiled:
 * decoded, a hundred thousand of them would take a gigabyte. Revocations are none: the index of stage 6 holds them.
 */
export type StoredResource =
  /** `uses`: `usedBy` of it. */
  | { readonly kind: "link"; readonly name: string; readonly payload: PayloadText; readonly uses: readonly string[] }
  | { readonly kind: "link_token"; readonly name: string; readonly payload: PayloadText }
  | Extract<OpenedResource, { kind: "issuer" | "secret" | "assertion_key" }>;

type IssuerEntry = { readonly issuer: Issuer; readonly jwks?: string };

/** A token as it came. */
interface KeptToken {
  readonly name: string;
  readonly payload: PayloadText;
}

/** A link with the parts that travel with it. */
export interface LinkResource {
  readonly link: Link;
  readonly debugKeys: readonly DebugKey[];
}

/** Name of the link a token belongs to. */
export const linkOfToken = (tokenName: string): string => tokenName.slice(0, tokenName.lastIndexOf("/tokens/"));

/** The resources that are in force, by kind and name, with what leads from one to those that depend on it. */
export class ResourceSet {
  readonly issuers = new Map<string, IssuerEntry>();
  readonly secrets = new Map<string, SecretVersions>();
  readonly assertionKeys = new Map<string, AssertionKey>();
  readonly #links = new Map<string, PayloadText>();
  readonly #linkNames = new Map<string, string>();
  readonly #tokens = new Map<string, readonly KeptToken[]>();
  /** Issuer, secret or key of assertions → names of the links that use it. */
  readonly #users = new Map<string, Set<string>>();

  /** Number of links. */
  get linkCount(): number {
    return this.#links.size;
  }

  /** Name of the link with this id. */
  linkName(id: string): string | undefined {
    return this.#linkNames.get(id);
  }

  /** @throws ConduitError `field_invalid` as `openNewLink` says */
  link(name: string): LinkResource | undefined {
    const payload = this.#links.get(name);
    return payload === undefined ? undefined : decodedLink(payload);
  }

  get(kind: StoredResource["kind"], name: string): StoredResource | undefined {
    switch (kind) {
      case "link": {
        const payload = this.#links.get(name);
        return payload && { kind, name, payload, uses: usedBy(readLinkOutline(payloadBytes(payload))) };
      }
      case "issuer":
        return this.issuers.has(name) ? { kind, name, ...(this.issuers.get(name) as IssuerEntry) } : undefined;
      case "secret":
        return this.secrets.has(name) ? { kind, name, secret: this.secrets.get(name) as SecretVersions } : undefined;
      case "assertion_key": {
        const key = this.assertionKeys.get(name);
        return key && { kind, name, key };
      }
      case "link_token": {
        const token = this.#tokens.get(linkOfToken(name))?.find((it) => it.name === name);
        return token && { kind, ...token };
      }
    }
  }

  put(resource: StoredResource): void {
    const { name } = resource;
    switch (resource.kind) {
      case "link":
        this.#forgetUses(name);
        this.#links.set(name, resource.payload);
        this.#linkNames.set(idOf(name), name);
        for (const used of resource.uses) this.#noteUse(used, name);
        return;
      case "issuer":
        this.issuers.set(name, resource);
        return;
      case "secret":
        this.secrets.set(name, resource.secret);
        return;
      case "assertion_key":
        this.assertionKeys.set(name, resource.key);
        return;
      case "link_token": {
        const link = linkOfToken(name);
        const others = (this.#tokens.get(link) ?? []).filter((it) => it.name !== name);
        this.#tokens.set(link, [...others, { name, payload: resource.payload }]);
      }
    }
  }

  delete(kind: StoredResource["kind"], name: string): void {
    switch (kind) {
      case "link":
        this.#forgetUses(name);
        this.#links.delete(name);
        if (this.#linkNames.get(idOf(name)) === name) this.#linkNames.delete(idOf(name));
        return;
      case "issuer":
        this.issuers.delete(name);
        return;
      case "secret":
        this.secrets.delete(name);
        return;
      case "assertion_key":
        this.assertionKeys.delete(name);
        return;
      case "link_token": {
        const link = linkOfToken(name);
        const others = (this.#tokens.get(link) ?? []).filter((it) => it.name !== name);
        if (others.length === 0) this.#tokens.delete(link);
        else this.#tokens.set(link, others);
      }
    }
  }

  tokensOf(link: string): readonly LinkToken[] {
    return (this.#tokens.get(link) ?? []).flatMap(({ payload }) => {
      const token = decodeConfigResource("link_token", payloadBytes(payload));
      return token.kind === "link_token" ? [token.linkToken] : [];
    });
  }

  /** Names of the links whose verdicts depend on a resource. */
  linksAffectedBy(kind: StoredResource["kind"], name: string): readonly string[] {
    if (kind === "link") return [name];
    if (kind === "link_token") return [linkOfToken(name)];
    const users = [...(this.#users.get(name) ?? [])];
    if (kind === "issuer" || kind === "assertion_key") return users;
    const issuers = [...this.issuers.values()].filter((it) => secretOfIssuer(it.issuer) === name);
    return [...users, ...issuers.flatMap(({ issuer }) => [...(this.#users.get(issuer.name) ?? [])])];
  }

  /** Another set of the same. Nothing may change meanwhile. */
  *copy(): Steps<ResourceSet> {
    const copy = new ResourceSet();
    yield* copyInto(copy.issuers, this.issuers);
    yield* copyInto(copy.secrets, this.secrets);
    yield* copyInto(copy.assertionKeys, this.assertionKeys);
    yield* copyInto(copy.#links, this.#links);
    yield* copyInto(copy.#linkNames, this.#linkNames);
    yield* copyInto(copy.#tokens, this.#tokens);
    for (const [used, users] of this.#users) {
      const copied = new Set<string>();
      copy.#users.set(used, copied);
      for (const user of users) {
        copied.add(user);
        yield;
      }
    }
    return copy;
  }

  #noteUse(used: string, link: string): void {
    const users = this.#users.get(used) ?? new Set<string>();
    this.#users.set(used, users.add(link));
  }

  #forgetUses(linkName: string): void {
    const before = this.#links.get(linkName);
    for (const name of before === undefined ? [] : usedBy(readLinkOutline(payloadBytes(before)))) {
      const users = this.#users.get(name);
      users?.delete(linkName);
      if (users?.size === 0) this.#users.delete(name);
    }
  }
}

function* copyInto<V>(to: Map<string, V>, from: ReadonlyMap<string, V>): Steps<void> {
  for (const [key, value] of from) {
    to.set(key, value);
    yield;
  }
}

/** @throws ConduitError `field_invalid`: never for what `openResource` has let through, but perhaps of `openNewLink` */
function decodedLink(payload: PayloadText): LinkResource {
  const resource = decodeConfigResource("link", payloadBytes(payload));
  if (resource.kind !== "link") throw new TypeError("the payload is not a link's");
  return { link: resource.link, debugKeys: resource.debugKeys ?? [] };
}

/** Issuers, secrets and the key of assertions that a link works with. */
export const usedBy = ({ name, issuers, secrets, identityAssertion }: LinkOutline): readonly string[] => [
  ...issuers,
  ...secrets,
  ...(identityAssertion ? [assertionKeyName(projectOf(name))] : []),
];

/** Name of the secret an issuer verifies with; undefined = none. */
export const secretOfIssuer = ({ keys }: Issuer): string | undefined =>
  keys.kind === "hs256" ? keys.secret : undefined;
