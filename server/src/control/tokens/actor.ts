import { parseStrictObject } from "../../jwt/strict-json.ts";
import type { Claims } from "../../model/claims.ts";
import { unusableToken } from "./subject-token.ts";

/** The client of the project that exchanges a token. */
export interface ExchangingClient {
  readonly id: string;
  /** `iss` of the project. */
  readonly issuer: string;
}

/**
 * `act` of the new token (RFC 8693 4.1): the client, acting for whoever acted before.
 * @throws ConduitError `field_invalid` naming `subject_token` when that says another may act for its subject, or so many
 * have acted that proxies could not read one more
 */
export function actorOf({ may_act: mayAct, act }: Claims, client: ExchangingClient): Claims {
  if (mayAct !== undefined && !isClient(mayAct, client))
    throw unusableToken("says in may_act that another client may act for its subject");
  const actor = { sub: client.id, ...(isObject(act) && { act }) };
  if (parseStrictObject(Buffer.from(JSON.stringify({ act: actor }))) === undefined)
    throw unusableToken("tells in act of more actors than a token can hold");
  return actor;
}

/** RFC 8693 4.4. With `iss` the name is that issuer's: a client of the same name elsewhere is another. */
const isClient = (mayAct: unknown, { id, issuer }: ExchangingClient): boolean =>
  isObject(mayAct) && mayAct.sub === id && (mayAct.iss === undefined || mayAct.iss === issuer);

const isObject = (value: unknown): value is Claims =>
  typeof value === "object" && value !== null && !Array.isArray(value);
