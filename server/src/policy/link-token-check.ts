import type { FieldViolation } from "../model/errors.ts";
import type { LinkToken } from "../model/link-token.ts";
import { parseNetwork } from "./client-address.ts";
import { originProblem } from "./url-check.ts";

/** Everything about a link token that its message's own constraints do not say; empty = nothing is wrong. */
export function checkLinkToken({ allowedOrigins, allowedAddresses }: LinkToken): readonly FieldViolation[] {
  const origins = allowedOrigins.map((origin, at) => [`allowed_origins[${at}]`, originProblem(origin)] as const);
  const addresses = allowedAddresses.map((address, at) => {
    const parsed = parseNetwork(address);
    return [`allowed_addresses[${at}]`, "problem" in parsed ? parsed.problem : undefined] as const;
  });
  return [...origins, ...addresses].flatMap(([field, problem]) =>
    problem === undefined ? [] : [{ field: `link_token.${field}`, description: problem }],
  );
}
