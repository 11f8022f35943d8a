import type { DebugKey } from "./debug-key.ts";
import type { Issuer } from "./issuer.ts";
import type { Link } from "./link.ts";
import type { LinkToken } from "./link-token.ts";
import type { RevocationEntry } from "./revocation.ts";
import type { BuiltInAlgorithm } from "./signing-key.ts";

/** A resource as the proxies get it: what the config log carries, in the server's own types. */
export type ConfigResource =
  /** `debugKeys`: those that have not expired; absent = none. */
  | { readonly kind: "link"; readonly name: string; readonly link: Link; readonly debugKeys?: readonly DebugKey[] }
  | { readonly kind: "link_token"; readonly name: string; readonly linkToken: LinkToken }
  /** `jwks`: the public keys of a built-in issuer as JSON text; undefined for the others. */
  | { readonly kind: "issuer"; readonly name: string; readonly issuer: Issuer; readonly jwks?: string }
  /** Values are sealed under the fleet key (`sealing/fleet-key.ts`). */
  | {
      readonly kind: "secret";
      readonly name: string;
      readonly sealedValue: Uint8Array;
      readonly sealedNextValue?: Uint8Array;
    }
  /** The key that signs a project's assertions now; its private half is sealed under the fleet key. */
  | ({ readonly kind: "assertion_key"; readonly name: string } & SealedAssertionKey)
  /** `name`: `revocationStreamName`. Exact names and targets stay on the control plane. */
  | { readonly kind: "revocation"; readonly name: string; readonly revocation: RevocationEntry };

/** A key of assertions as it travels. */
export interface SealedAssertionKey {
  /** `iss` of what it signs. */
  readonly iss: string;
  readonly kid: string;
  readonly algorithm: BuiltInAlgorithm;
  readonly sealedPrivateJwk: Uint8Array;
}

export type ConfigResourceKind = ConfigResource["kind"];

/** One entry of the log: a resource as it now is, or its deletion. */
export type ConfigChange =
  | { readonly op: "upsert"; readonly resource: ConfigResource }
  | { readonly op: "delete"; readonly kind: ConfigResourceKind; readonly name: string };
