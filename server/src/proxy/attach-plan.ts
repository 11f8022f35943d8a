import type { AssertionKey } from "../jwt/assertion.ts";
import type { ClaimHeader, Link } from "../model/link.ts";
import { type ClaimRef, parseClaimPath } from "../policy/claims.ts";
import { Assertions } from "./assertions.ts";
import { canonicalName, isFramingName, isProxysOwn } from "./header-rules.ts";
import type { HiddenCredential } from "./hidden-credential.ts";

/** A claim that is sent as a header. */
export interface CompiledClaimHeader {
  readonly header: string;
  /** Tried in order; the first names the claim in refusals. */
  readonly claims: readonly [ClaimRef, ...ClaimRef[]];
  readonly isRequired: boolean;
}

/** What the attach stage does for one link. */
export interface AttachPlan {
  /** The base URL's path without its last slash: "" or `/v1`. */
  readonly basePath: string;
  readonly credential: HiddenCredential;
  /** Decoded names of query parameters that only the proxy may send. */
  readonly ownQueryNames: ReadonlySet<string>;
  readonly claimHeaders: readonly CompiledClaimHeader[];
  /** Header and what stands before the token; undefined = the user token is not forwarded. */
  readonly userToken: { readonly header: string; readonly prefix: string } | undefined;
  /** Undefined = the link sends none. */
  readonly assertions: Assertions | undefined;
  readonly sendForwarded: boolean;
  /** Ask for an answer that can be read: its body is scanned for the credential. */
  readonly wantsPlainAnswer: boolean;
  /** Whether a client's header of this canonical name is withheld. */
  readonly isStripped: (name: string) => boolean;
}

/**
 * @param assertionKey of the link's project; undefined = the proxy has none
 * @throws TypeError when a header's name would frame or route the message, a claim path cannot be read, or the key is missing
 */
export function compileAttachPlan(
  link: Link,
  credential: HiddenCredential,
  assertionKey: AssertionKey | undefined,
): AttachPlan {
  const claimHeaders = link.claimHeaders.map(compileClaimHeader);
  const userToken = userTokenHeader(link.forwardUserToken);
  const coding = link.scanResponseBodies ? ["accept-encoding"] : [];
  const claimNames = claimHeaders.map(({ header }) => header);
  const own = [...credential.headerNames, ...claimNames, ...coding, userToken?.header ?? ""];
  const ownNames = new Set(own.filter((name) => name !== "").map(canonicalName));
  for (const name of ownNames) {
    if (isFramingName(name)) throw new TypeError(`the header ${name} cannot be set by a link`);
  }
  return {
    basePath: basePathOf(link.upstream.baseUrl),
    credential,
    ownQueryNames: new Set(credential.queryNames),
    claimHeaders,
    userToken,
    assertions: link.identityAssertion === true ? assertionsOf(link, claimHeaders, assertionKey) : undefined,
    sendForwarded: link.sendForwarded,
    wantsPlainAnswer: link.scanResponseBodies,
    // A client's own copy never passes, also when the claim it would be overwritten with is absent (S15).
    isStripped: (name) => isProxysOwn(name) || ownNames.has(name),
  };
}

/** An upstream that counts on assertions must not get requests without one. */
function assertionsOf(
  { name, upstream }: Link,
  claimHeaders: readonly CompiledClaimHeader[],
  key: AssertionKey | undefined,
): Assertions {
  if (key === undefined) throw new TypeError("the key of the project's assertions is not there");
  const claims = claimHeaders.map((header) => header.claims);
  return new Assertions({ key, link: name, audience: new URL(upstream.baseUrl).origin, claims });
}

/** Path of a base URL without its last slash; "" for the root. */
export const basePathOf = (baseUrl: string): string => new URL(baseUrl).pathname.replace(/\/$/, "");

function compileClaimHeader({ claim, fallbackClaims, header, ifMissing }: ClaimHeader): CompiledClaimHeader {
  const refs = fallbackClaims.map(claimRef);
  return { header, claims: [claimRef(claim), ...refs], isRequired: ifMissing === "DENY" };
}

function claimRef(path: string): ClaimRef {
  const parsed = parseClaimPath(path);
  if ("value" in parsed) return parsed.value;
  throw new TypeError(`claim_headers: a claim ${parsed.problem}`);
}

function userTokenHeader(setting: string): AttachPlan["userToken"] {
  if (setting === "OFF") return undefined;
  return setting === "AUTHORIZATION" ? { header: "Authorization", prefix: "Bearer " } : { header: setting, prefix: "" };
}
