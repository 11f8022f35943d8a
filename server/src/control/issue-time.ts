import { BUILT_IN_ISSUER_ID } from "../model/project.ts";
import { issuerName } from "../model/resource-name.ts";
import { keyOfTarget, type RevocationTarget } from "../model/revocation.ts";

/** For whom and for what a token is issued. */
interface Wanted {
  readonly subject: string;
  readonly links: readonly string[];
}

/** `keyOfTarget`, in hex, of everything that may say from when on such tokens must be dated. */
export const datingKeys = (project: string, wanted: readonly Wanted[]): string[] =>
  wanted
    .flatMap((token) => targetsOf(project, token))
    .map((target) => Buffer.from(keyOfTarget(target)).toString("hex"));

/**
 * How new tokens are dated, in milliseconds: now, or a second after the latest "issued before" that would withdraw one of
 * them. A person who signs in again right after all their tokens were withdrawn must not get one that is refused;
 * verifiers allow an `iat` a minute ahead.
 * @param keys `datingKeys` of the tokens
 */
export function issueTimeMs(keys: readonly string[], issuedBefore: ReadonlyMap<string, Date>, nowMs: number): number {
  const latestMs = Math.max(...keys.map((key) => issuedBefore.get(key)?.getTime() ?? Number.NEGATIVE_INFINITY));
  return Math.max(nowMs, (Math.floor(latestMs / 1000) + 1) * 1000);
}

/** Everything with an "issued before" that may name the token. */
function targetsOf(project: string, { subject, links }: Wanted): RevocationTarget[] {
  const issuer = issuerName(project, BUILT_IN_ISSUER_ID);
  const any = { issuedBeforeMs: 0 };
  return [
    { kind: "subject", project, issuer: "", subject, ...any },
    { kind: "subject", project, issuer, subject, ...any },
    { kind: "issuer", issuer, ...any },
    ...links.map((link): RevocationTarget => ({ kind: "link", link, ...any })),
  ];
}
