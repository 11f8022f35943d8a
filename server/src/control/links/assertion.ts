import { generateSigningKey, type StoredSigningKey } from "../../jwt/signing-key.ts";
import type { ConfigChange } from "../../model/config-resource.ts";
import type { Link } from "../../model/link.ts";
import { BUILT_IN_ISSUER_ID } from "../../model/project.ts";
import type { Tx } from "../../store/database.ts";
import { lockIssuer } from "../../store/issuers.ts";
import { activeSigningKey, insertSigningKey } from "../../store/signing-keys.ts";
import { assertionKeyChanges } from "../assertion-key.ts";
import type { Deps } from "../deps.ts";
import { found } from "../resource-path.ts";
import { sealingKeyOf } from "../secret-values.ts";
import { signingKeyRow } from "../signing-keys.ts";

/** What a link says of assertions: undefined = there is no such link, before it is made or after it is deleted. */
type Asking = Pick<Link, "identityAssertion"> | undefined;

/** Makes a project's first key for assertions when needed, and sends it to the proxies or takes it from them. */
export interface AssertionKeySteps {
  /** To be called before the link's issuers are locked. */
  prepare(tx: Tx): Promise<void>;
  /** To be called after the link is written. */
  changes(tx: Tx): Promise<ConfigChange[]>;
}

const NOTHING: AssertionKeySteps = { prepare: async () => undefined, changes: async () => [] };

/**
 * What a change of a link from `current` to `next` needs done about the project's key. Links that begin or cease to ask go
 * one after the other, through the built-in issuer's lock: else one that ceases could take away what another just got.
 * @param spare the key to begin with; needed when `next` asks
 */
export function assertionKeySteps(
  deps: Deps,
  project: string,
  current: Asking,
  next: Asking,
  spare: StoredSigningKey | undefined,
): AssertionKeySteps {
  const asks = next?.identityAssertion === true;
  if ((current?.identityAssertion === true) === asks) return NOTHING;
  return {
    async prepare(tx) {
      found(await lockIssuer(tx, project, BUILT_IN_ISSUER_ID));
      if (!asks || (await activeSigningKey(tx, project, "ASSERTION")) !== undefined) return;
      if (spare === undefined) throw new TypeError("no key was made for the project's assertions");
      const dataKey = await sealingKeyOf(tx, project);
      await insertSigningKey(
        tx,
        signingKeyRow(deps, dataKey, spare, "ACTIVE", new Date(deps.clock.now()), "ASSERTION"),
      );
    },
    changes: (tx) => assertionKeyChanges(deps, tx, project),
  };
}

/** A key for `assertionKeySteps`, made before the transaction; undefined = the link as it is asked for needs none. */
export const spareAssertionKey = async (asked: Asking): Promise<StoredSigningKey | undefined> =>
  asked?.identityAssertion === true ? generateSigningKey() : undefined;
