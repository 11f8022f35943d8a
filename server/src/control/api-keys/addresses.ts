import type { FieldViolation } from "../../model/errors.ts";
import { parseNetwork } from "../../policy/client-address.ts";

/** Entries that are neither an address nor a network. */
export const addressViolations = (addresses: readonly string[]): FieldViolation[] =>
  addresses.flatMap((address, at) => {
    const parsed = parseNetwork(address);
    return "problem" in parsed ? [{ field: `api_key.allowed_addresses[${at}]`, description: parsed.problem }] : [];
  });
