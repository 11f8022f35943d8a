import type { AssertionKey } from "../../jwt/assertion.ts";
import type { SecretVersions } from "../../jwt/trust.ts";
import type { ConfigResource } from "../../model/config-resource.ts";
import type { DebugKey } from "../../model/debug-key.ts";
import type { Issuer } from "../../model/issuer.ts";
import type { Link } from "../../model/link.ts";
import type { LinkToken } from "../../model/link-token.ts";
import { assertionKeyName, projectOf } from "../../model/resource-name.ts";

/** A decoded resource with its secrets opened. Revocations are none: the index of stage 6 holds them (`state.ts`). */
export type OpenedResource =
  | Exclude<ConfigResource, { kind: "secret" | "revocation" | "assertion_key" }>
  | { readonly kind: "secret"; readonly name: string; readonly secret: SecretVersions }
  | { readonly kind: "assertion_key"; readonly name: string; readonly key: AssertionKey };

type IssuerEntry = { readonly issuer: Issuer; readonly jwks?: string };

/** Name of the link a token belongs to. */
export const linkOfToken = (tokenName: string): string => tokenName.slice(0, tokenName.lastIndexOf("/tokens/"));

/** The resources that are in force, by kind and name, with what leads from one to those that depend on it. */
export class ResourceSet {
  readonly links = new Map<string, Link>();
  /** By link; absent = none. */
  readonly debugKeys = new Map<string, readonly DebugKey[]>();
  readonly issuers = new Map<string, IssuerEntry>();
  readonly secrets = new Map<string, SecretVersions>();
  readonly assertionKeys = new Map<string, AssertionKey>();
  readonly #tokens = new Map<string, Map<string, LinkToken>>();
  /** Issuer, secret or key of assertions → names of the links that use it. */
  readonly #users = new Map<string, Set<string>>();

  get(kind: OpenedResource["kind"], name: string): OpenedResource | undefined {
    switch (kind) {
      case "link":
        return this.#link(name);
      case "issuer":
        return this.issuers.has(name) ? { kind, name, ...(this.issuers.get(name) as IssuerEntry) } : undefined;
      case "secret":
        return this.secrets.has(name) ? { kind, name, secret: this.secrets.get(name) as SecretVersions } : undefined;
      case "assertion_key": {
        const key = this.assertionKeys.get(name);
        return key && { kind, name, key };
      }
      case "link_token": {
        const linkToken = this.#tokens.get(linkOfToken(name))?.get(name);
        return linkToken === undefined ? undefined : { kind, name, linkToken };
      }
    }
  }

  put(resource: OpenedResource): void {
    switch (resource.kind) {
      case "link":
        this.#forgetUses(resource.name);
        this.links.set(resource.name, resource.link);
        if (resource.debugKeys === undefined) this.debugKeys.delete(resource.name);
        else this.debugKeys.set(resource.name, resource.debugKeys);
        this.#noteUses(resource.link);
        return;
      case "issuer":
        this.issuers.set(resource.name, resource);
        return;
      case "secret":
        this.secrets.set(resource.name, resource.secret);
        return;
      case "assertion_key":
        this.assertionKeys.set(resource.name, resource.key);
        return;
      case "link_token": {
        const link = linkOfToken(resource.name);
        const tokens = this.#tokens.get(link) ?? new Map<string, LinkToken>();
        this.#tokens.set(link, tokens.set(resource.name, resource.linkToken));
      }
    }
  }

  delete(kind: OpenedResource["kind"], name: string): void {
    switch (kind) {
      case "link":
        this.#forgetUses(name);
        this.links.delete(name);
        this.debugKeys.delete(name);
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
        const tokens = this.#tokens.get(link);
        tokens?.delete(name);
        if (tokens?.size === 0) this.#tokens.delete(link);
      }
    }
  }

  tokensOf(link: string): readonly LinkToken[] {
    return [...(this.#tokens.get(link)?.values() ?? [])];
  }

  /** Names of the links whose verdicts depend on a resource. */
  linksAffectedBy(kind: OpenedResource["kind"], name: string): readonly string[] {
    if (kind === "link") return [name];
    if (kind === "link_token") return [linkOfToken(name)];
    const users = [...(this.#users.get(name) ?? [])];
    if (kind === "issuer" || kind === "assertion_key") return users;
    const issuers = [...this.issuers.values()].filter((it) => secretOfIssuer(it.issuer) === name);
    return [...users, ...issuers.flatMap(({ issuer }) => [...(this.#users.get(issuer.name) ?? [])])];
  }

  #link(name: string): OpenedResource | undefined {
    const link = this.links.get(name);
    const debugKeys = this.debugKeys.get(name);
    return link && { kind: "link", name, link, ...(debugKeys && { debugKeys }) };
  }

  #noteUses(link: Link): void {
    for (const name of usedBy(link)) {
      const users = this.#users.get(name) ?? new Set<string>();
      this.#users.set(name, users.add(link.name));
    }
  }

  #forgetUses(linkName: string): void {
    const link = this.links.get(linkName);
    for (const name of link === undefined ? [] : usedBy(link)) {
      const users = this.#users.get(name);
      users?.delete(linkName);
      if (users?.size === 0) this.#users.delete(name);
    }
  }
}

/** Issuers, secrets and the key of assertions that a link works with. */
export const usedBy = (link: Link): readonly string[] => [
  ...link.issuers,
  ...link.injections.map(({ secret }) => secret),
  ...(link.identityAssertion === true ? [assertionKeyName(projectOf(link.name))] : []),
];

/** Name of the secret an issuer verifies with; undefined = none. */
export const secretOfIssuer = ({ keys }: Issuer): string | undefined =>
  keys.kind === "hs256" ? keys.secret : undefined;
