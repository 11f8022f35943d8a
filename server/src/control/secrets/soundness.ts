import { type FieldViolation, invalidFields } from "../../model/errors.ts";
import { issuerName } from "../../model/resource-name.ts";
import type { SecretText } from "../../model/secret-text.ts";
import type { Tx } from "../../store/database.ts";
import { issuersOfSecret, keepIssuers } from "../../store/issuers.ts";
import { hmacProblem } from "../hmac-check.ts";

/** Visible ASCII with inner spaces: what a header may carry as it is (RFC 9110 5.5), without white space that gets lost. */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
/** Issuers of one secret that are looked at; a project has few. */
const ISSUERS_MAX = 1_000;

/** New values by the field they came in. */
export type NewValues = readonly (readonly [field: "secret.value" | "secret.next_value", value: SecretText])[];

/** Throws `field_invalid` for a value that no header can carry: it would be found out at the first request only. */
export function requireSendable(field: string, text: string): void {
  const problem =
    text === "" ? "is required" : "must be visible ASCII, with spaces inside only: is a line break left at its end?";
  if (!VALUE.test(text)) throw invalidFields([{ field, description: problem }]);
}

/** Throws `field_invalid` when an issuer verifies HS256 tokens with this secret and the new value is unfit for it (S12). */
export async function requireFitForIssuers(tx: Tx, project: string, secret: string, values: NewValues): Promise<void> {
  if (values.length === 0) return;
  const issuers = await keepIssuers(tx, project, await issuersOfSecret(tx, project, secret, ISSUERS_MAX));
  const violations: FieldViolation[] = [];
  for (const { id, spec } of issuers) {
    const { keys, algorithms } = spec;
    if (keys.kind !== "hs256") continue;
    for (const [field, value] of values) {
      const problem = await hmacProblem(value, { encoding: keys.encoding, algorithms });
      if (problem === undefined) continue;
      violations.push({ field, description: `${problem} (${issuerName(project, id)} verifies tokens with it)` });
    }
  }
  if (violations.length > 0) throw invalidFields(violations);
}
