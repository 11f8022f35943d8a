import type { JudgedLink } from "../judge/judged-link.ts";
import type { AssertionKey } from "../jwt/assertion.ts";
import type { DebugKey } from "../model/debug-key.ts";
import type { Link } from "../model/link.ts";
import type { LinkToken } from "../model/link-token.ts";
import type { SecretText } from "../model/secret-text.ts";
import type { RevocationIndex } from "../policy/revocation.ts";
import { type AnswerPlan, compileAnswerPlan } from "./answer-plan.ts";
import { type AttachPlan, compileAttachPlan } from "./attach-plan.ts";
import { type CorsPlan, compileCors } from "./cors-plan.ts";
import { HiddenCredential } from "./hidden-credential.ts";
import { type UpstreamTarget, upstreamTarget } from "./upstream/pools.ts";
import type { UpstreamTimeouts } from "./upstream/upstream-exchange.ts";

/** A link with everything read that the stages need. Never changed: a change of anything in it makes a new one (R3). */
export interface ServedLink {
  readonly judged: JudgedLink;
  readonly cors: CorsPlan;
  readonly attach: AttachPlan;
  readonly answer: AnswerPlan;
  readonly target: UpstreamTarget;
  readonly timeouts: UpstreamTimeouts;
  readonly debugKeys: readonly DebugKey[];
}

/** What a link is served from. */
export interface ServedParts {
  readonly judged: JudgedLink;
  readonly linkTokens: readonly LinkToken[];
  readonly debugKeys: readonly DebugKey[];
  readonly secretOf: (name: string) => SecretText;
  /** Of the project; undefined = there is none. */
  readonly assertionKey: AssertionKey | undefined;
}

/** The configuration as a request sees it. A request asks once for its link: that one object is its whole version. */
export interface ServedConfig {
  /** False before the first configuration has come. */
  readonly isReady: boolean;
  /** This installation's name in `Via`: `conduit-<8 hex of its id>`. */
  readonly pseudonym: string;
  readonly revocations: RevocationIndex;
  /** Since it was known to be the current one; Infinity = never. */
  ageMs(): number;
  /** When it is older, nothing is served. Default: Infinity. */
  readonly maxAgeMs: number;
  /** By the id in the URL. */
  link(id: string): ServedLink | undefined;
}

/** Name in `Via` of the installation with this id. */
export const pseudonymOf = (installationId: string): string =>
  `conduit-${installationId.replaceAll("-", "").toLowerCase().slice(0, 8)}`;

/** @throws ConduitError, TypeError when a part cannot be used: the change is rejected and says why */
export function compileServedLink(parts: ServedParts): ServedLink {
  const { judged, linkTokens, debugKeys, secretOf, assertionKey } = parts;
  const { link } = judged;
  const credential = new HiddenCredential(link.injections, secretOf);
  return {
    judged,
    cors: compileCors(link, linkTokens),
    attach: compileAttachPlan(link, credential, assertionKey),
    answer: compileAnswerPlan(link, judged.id, credential),
    target: targetOf(link),
    timeouts: link.upstream,
    debugKeys,
  };
}

function targetOf({ upstream }: Link): UpstreamTarget {
  const { allowPrivate, connectTimeoutMs, caCertificates } = upstream;
  const { origin } = new URL(upstream.baseUrl);
  const authorities = caCertificates === undefined ? {} : { caCertificates };
  return upstreamTarget({ origin, allowPrivate, connectTimeoutMs, ...authorities });
}
