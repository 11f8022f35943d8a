import { isDeepStrictEqual } from "node:util";
import { parseStrictObject } from "../jwt/strict-json.ts";
import type { Claims } from "../model/claims.ts";
import { invalidFields } from "../model/errors.ts";
import { applyTemplate } from "../policy/claim-template.ts";
import type { LinkRow } from "../store/links.ts";

/** A token as far as its links' templates (`link.token_claims`) are about it. */
export interface TemplatedToken {
  readonly subject: string;
  readonly links: readonly string[];
  readonly scope: string;
  readonly roles: readonly string[];
  readonly claims: Claims;
  /** What `{jwt.…}` reads; default: what is asked for. For an exchanged token the claims of the one before. */
  readonly templateSource?: Claims;
  /** Path of the request that wants it among several, as `requests[3].`; default "". */
  readonly field?: string;
}

/** What a token says of a person. */
interface Said {
  readonly roles: readonly string[];
  readonly claims: Claims;
}

/**
 * Roles and claims of a token with those of its links' templates, which win over what the request brings: they are the
 * link's own word on what its tokens say.
 * @param links by name
 * @param onConflict two links say different things under one name, or a claim would be nested deeper than the proxies
 * read: `refuse` throws; `first` takes the first link's word, or none at all: a session must not end for a template
 * @throws ConduitError `field_invalid`
 */
export function withTokenClaims(
  token: TemplatedToken,
  links: ReadonlyMap<string, LinkRow | undefined>,
  onConflict: "refuse" | "first",
): Said {
  const templates = token.links.map((name) => links.get(name)?.spec.tokenClaims).filter((it) => it !== undefined);
  if (templates.length === 0) return { roles: token.roles, claims: token.claims };
  const { subject: sub, scope, roles, claims, field = "" } = token;
  const source = token.templateSource ?? { ...claims, sub, roles, ...(scope !== "" && { scope }) };
  const added = merged(
    templates.map((template) => applyTemplate(template, source)),
    onConflict,
    field,
  );
  const { roles: addedRoles, ...further } = added;
  const all: Claims = { ...claims, ...further };
  // A claim put into a template may be deeper there than where it came from.
  if (parseStrictObject(Buffer.from(JSON.stringify(all))) === undefined) {
    if (onConflict === "first") return { roles: token.roles, claims: token.claims };
    throw invalidFields([{ field: `${field}claims`, description: "with a link's token_claims are nested too deep" }]);
  }
  return { roles: addedRoles === undefined ? roles : rolesOf(addedRoles), claims: all };
}

function merged(all: readonly Claims[], onConflict: "refuse" | "first", field: string): Claims {
  const entries = new Map<string, unknown>();
  for (const [name, value] of all.flatMap((claims) => Object.entries(claims))) {
    if (!entries.has(name)) entries.set(name, value);
    else if (onConflict === "refuse" && !isDeepStrictEqual(entries.get(name), value)) {
      const description = `say different things in token_claims about ${JSON.stringify(name)}: mint a token for each`;
      throw invalidFields([{ field: `${field}links`, description }]);
    }
  }
  return Object.fromEntries(entries);
}

const rolesOf = (roles: unknown): string[] =>
  [roles].flat().filter((role): role is string => typeof role === "string" && role !== "");
