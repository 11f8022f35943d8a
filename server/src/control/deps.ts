import type { Clock } from "../clock.ts";
import type { Fleet } from "../config-log/fleet.ts";
import type { JwksSources } from "../jwt/jwks.ts";
import type { Log } from "../log.ts";
import type { Random } from "../random.ts";
import type { Keyring } from "../sealing/keyring.ts";
import type { SessionRow } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import type { AuditLedger } from "./audit-ledger.ts";
import type { IssuingFactsReader } from "./issuing-facts.ts";
import type { KnownDataKeys } from "./known-data-keys.ts";
import type { PageTokens } from "./page-token.ts";
import type { RevocationLedger } from "./revocation-ledger.ts";

/** What the services are made of. */
export interface Deps {
  readonly store: Store;
  readonly keyring: Keyring;
  /** Its key seals secrets in the config stream. */
  readonly fleet: Fleet;
  readonly pageTokens: PageTokens;
  /** Key of `requestMac`. */
  readonly requestKey: Uint8Array;
  /** Keys of issuers elsewhere. */
  readonly jwksSources: JwksSources;
  readonly auditLedger: AuditLedger;
  readonly revocationLedger: RevocationLedger;
  readonly issuingFacts: IssuingFactsReader;
  readonly knownDataKeys: KnownDataKeys;
  /** A session as it is now, without a lock. */
  readonly readSession: (id: string) => Promise<SessionRow | undefined>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Head of the issuers' URLs, without trailing slash. */
  readonly publicUrl: () => string;
}
