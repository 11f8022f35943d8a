import { BUILT_IN_ISSUER_ID } from "../model/project.ts";
import { issuerName } from "../model/resource-name.ts";
import { keyOfTarget, type RevocationTarget } from "../model/revocation.ts";
import type { Reader } from "../store/database.ts";
import { latestIssuedBefore } from "../store/revocations.ts";

/** For whom and for what a token is issued. */
interface Wanted {
  readonly subject: string;
  readonly links: readonly string[];
}

/**
 * How new tokens are dated, in milliseconds: now, or a second after the latest "issued before" that would withdraw one of
 * them. A person who signs in again right after all their tokens were withdrawn must not get one that is refused;
 * verifiers allow an `iat` a minute ahead.
 */
export async function issueTimeMs(
  reader: Reader,
  project: string,
  wanted: readonly Wanted[],
  nowMs: number,
): Promise<number> {
  const keys = wanted.flatMap((token) => targetsOf(project, token)).map(keyOfTarget);
  const latest = await latestIssuedBefore(reader, keys, new Date(nowMs));
  return latest === undefined ? nowMs : Math.max(nowMs, (Math.floor(latest.getTime() / 1000) + 1) * 1000);
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
