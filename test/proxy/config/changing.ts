// A configuration that changes all the time, each version recognisable in what the upstream receives.
import type { ConfigResource } from "../../../server/src/model/config-resource.ts";
import type { SealingKey } from "../../../server/src/sealing/sealing-key.ts";
import type { HttpServer } from "../../support/http-server.ts";
import { LINK_NAME, linkOf } from "../harness.ts";
import { sealedSecret } from "./fake-control.ts";

/** Version `at`: base path, credential and claim header all say its number. @param key as of `sealedSecret` */
export function versionOf(at: number, upstreamUrl: string, key?: SealingKey): ConfigResource[] {
  return [
    sealedSecret("key", `key-of-${at}`, key),
    {
      kind: "link",
      name: LINK_NAME,
      link: linkOf(`${upstreamUrl}/v${at}`, {
        claimHeaders: [
          { claim: at % 2 === 0 ? "even" : "odd", fallbackClaims: [], header: "X-Claim", ifMissing: "DENY" },
        ],
      }),
    },
  ];
}

/** Claims that every version asks for. */
export const CLAIMS = { even: "even-claim", odd: "odd-claim" };

/** Requests that were judged by parts of two versions; and the versions seen. */
export function mixedIn(upstream: HttpServer) {
  const versions = new Set<number>();
  const mixed = upstream.requests.flatMap((seen) => {
    const at = Number(/^\/v(\d+)\//.exec(seen.target)?.[1]);
    versions.add(at);
    const claim = at % 2 === 0 ? CLAIMS.even : CLAIMS.odd;
    const isWhole = seen.header("x-api-key")?.[0] === `key-of-${at}` && seen.header("x-claim")?.[0] === claim;
    return isWhole ? [] : [seen.target];
  });
  return { mixed, versions };
}
