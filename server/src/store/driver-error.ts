import { DrizzleQueryError } from "drizzle-orm/errors";
import { ConduitError, type ErrorCode } from "../model/errors.ts";

/** What may be said of a driver's error: never its message or detail, which hold parameters (drizzle) and values (SQL). */
interface Facts {
  /** SQLSTATE, or the code of a failed connection. */
  readonly code: string;
  readonly constraint: string;
  readonly table: string;
  /** SQL with placeholders, shortened. */
  readonly statement: string;
  readonly isReference: boolean;
}

const STATEMENT_MAX = 300;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function factsOf(error: unknown): Facts {
  const statement = error instanceof DrizzleQueryError ? text(error.query).slice(0, STATEMENT_MAX) : "";
  const cause = (error instanceof DrizzleQueryError ? error.cause : error) as Record<string, unknown> | undefined;
  return {
    code: text(cause?.code) || closedCode(cause),
    constraint: text(cause?.constraint) || text(cause?.constraint_name),
    table: text(cause?.table) || text(cause?.table_name),
    statement,
    isReference: text(cause?.message).startsWith("insert"),
  };
}

/** PGlite says that it was closed in words only. */
const closedCode = (cause: Record<string, unknown> | undefined): string =>
  /PGlite is clos/.test(text(cause?.message)) ? "CONNECTION_ENDED" : "";

/** Failures of the connection or the server, by driver code and SQLSTATE class: nothing is wrong with the statement. */
const CONNECTION_CODE = /^(CONNECT|E[A-Z]+$|08|40|53|57|58|28|3D000|25006|25P03|55P03)/;

/** SQLSTATE → what it means to a caller. Others are faults of ours: `internal`. */
function codeOf(facts: Facts): ErrorCode {
  const { code, isReference } = facts;
  if (isLost(facts)) return "store_unavailable";
  if (code === "23505") return "resource_exists";
  // A row that refers to nothing, or one that others refer to (23001 since PostgreSQL 18).
  if (code === "23503" || code === "23001") return isReference ? "resource_not_found" : "resource_in_use";
  // Bytes that text cannot hold (NUL), numbers out of range: the value came from outside.
  if (code.startsWith("22")) return "field_invalid";
  return CONNECTION_CODE.test(code) ? "store_unavailable" : "internal";
}

function isLost({ code, constraint }: Facts): boolean {
  if (code === "40001" || code === "40P01") return true;
  // Two transactions made the same configuration resource at once; the later one must read the earlier one's digest.
  return code === "23505" && constraint.startsWith("config_current_");
}

/** Whether the same transaction may succeed when run again: it lost a race, and nothing of it was kept. */
export const isLostRace = (error: unknown): boolean => isLost(factsOf(error));

/** Whether the database or the way to it failed, and not the statement. */
export const isConnectionFailure = (error: unknown): boolean => codeOf(factsOf(error)) === "store_unavailable";

/**
 * Codes after which a connection is of no use any more. A server that has become read-only (25006) may be an old primary
 * after a failover: another connection may lead to the new one.
 */
const LOST_CODE = /^(CONNECT|E[A-Z]+$|08|57P|25P03|25006)/;

/** Whether the connection itself is gone. */
export const isConnectionLost = (error: unknown): boolean => LOST_CODE.test(factsOf(error).code);

/** SQLSTATE or connection code of a driver's error; "" = none. */
export const driverCode = (error: unknown): string => factsOf(error).code;

/** Public text of a database that answers and takes no changes. */
export const READ_ONLY_DETAIL = "The database is read-only for now; nothing was changed, try again later";

/** SQLSTATE, or its class → public text, where the code's own would mislead. */
const DETAILS: Readonly<Record<string, string>> = {
  "25006": READ_ONLY_DETAIL,
  "22": "A text holds a character that cannot be stored",
  "40": "Too many changes at once; nothing was changed, try again",
};

/**
 * A driver's error as one of ours. Its cause says what failed and where, without any value: drizzle's own message holds
 * all parameters, PostgreSQL's often the offending value, and both would end in the log (S17).
 */
export function fromDriverError(error: unknown, detail?: string): ConduitError {
  const facts = factsOf(error);
  const parts = [facts.code || "no code", facts.constraint, facts.table, facts.statement].filter((part) => part !== "");
  const cause = new Error(`database: ${parts.join(" · ")}`);
  const said = detail ?? (isLost(facts) ? DETAILS["40"] : (DETAILS[facts.code] ?? DETAILS[facts.code.slice(0, 2)]));
  return new ConduitError(codeOf(facts), { cause, ...(said !== undefined && { detail: said }) });
}
