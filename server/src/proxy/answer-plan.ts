import type { Link } from "../model/link.ts";
import type { RewrittenPath } from "../policy/rewrite.ts";
import { basePathOf } from "./attach-plan.ts";
import type { HiddenCredential } from "./hidden-credential.ts";

/** What the respond stage does for one link. */
export interface AnswerPlan {
  /** `/<link-id>`: where the base URL appears to clients. */
  readonly linkPath: string;
  readonly origin: string;
  readonly basePath: string;
  /** Other origins the upstream may redirect to. */
  readonly redirectOrigins: ReadonlySet<string>;
  readonly isSharedCache: boolean;
  readonly scansBodies: boolean;
  readonly credential: HiddenCredential;
}

export function compileAnswerPlan(link: Link, linkId: string, credential: HiddenCredential): AnswerPlan {
  return {
    linkPath: `/${linkId}`,
    origin: new URL(link.upstream.baseUrl).origin,
    basePath: basePathOf(link.upstream.baseUrl),
    redirectOrigins: new Set(link.allowedRedirectOrigins),
    isSharedCache: link.sharedCache,
    scansBodies: link.scanResponseBodies,
    credential,
  };
}

/**
 * A `Location` or `Content-Location` as the client may see it (contract.md 5): inside the base URL → the same place under
 * the link; another listed origin → as it is. Undefined = refused: what lies outside could carry the client, or what it
 * sends, anywhere.
 * @param requestPath path and query of the upstream request, which relative references are resolved against
 * @param rewritten what a rule made of the client's path: undone, so that a client can follow
 */
export function resolveLocation(
  plan: AnswerPlan,
  value: string,
  requestPath: string,
  rewritten: RewrittenPath | undefined,
): string | undefined {
  const url = URL.parse(value, `${plan.origin}${requestPath}`);
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  // Only if it is there: deleting would write the rest of the query anew.
  for (const name of plan.credential.queryNames) if (url.searchParams.has(name)) url.searchParams.delete(name);
  const { origin, pathname, search, hash } = url;
  if (origin !== plan.origin || !isInside(pathname, plan.basePath)) {
    return plan.redirectOrigins.has(origin) ? plan.credential.blank(url.href) : undefined;
  }
  const path = pathname.slice(plan.basePath.length);
  const shown = rewritten !== undefined && isInside(path, rewritten.to) ? undo(path, rewritten) : path;
  return plan.credential.blank(`${plan.linkPath}${shown}${search}${hash}`);
}

const undo = (path: string, { from, to }: RewrittenPath): string => `${from}${path.slice(to.length)}`;

/** Whole segments: `/v1x` is not inside `/v1`. */
const isInside = (path: string, basePath: string): boolean => path === basePath || path.startsWith(`${basePath}/`);
