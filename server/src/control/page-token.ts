import { createHmac, timingSafeEqual } from "node:crypto";
import { ConduitError } from "../model/errors.ts";

const PAGE_SIZE_DEFAULT = 50;
const PAGE_SIZE_MAX = 500;
const MAC_BYTES = 16;

/** The list a page token belongs to; of any other it is refused. */
export interface ListScope {
  /** Full name of the method. */
  readonly method: string;
  /** The parent and every filter of the request. */
  readonly filter: readonly string[];
  /** Resource name of the caller's key: a token gives nobody else's view. */
  readonly principal: string;
}

export interface PageTokens {
  /** The token of the page that begins after `key`. */
  write(scope: ListScope, key: string): string;
  /** The key a page begins after; undefined for the first page. Throws `page_token_invalid`. */
  read(scope: ListScope, token: string): string | undefined;
}

/**
 * Opaque keyset tokens (AIP-158): the last key of the page and a MAC over it and the list it belongs to, so that a
 * token cannot be made up, nor moved to another list to read past its filter.
 * @param key secret of the installation, the same on every replica
 */
export function createPageTokens(key: Uint8Array): PageTokens {
  const macOf = (scope: ListScope, lastKey: string): Buffer => {
    const text = JSON.stringify([scope.method, scope.filter, scope.principal, lastKey]);
    return createHmac("sha256", key).update(text).digest().subarray(0, MAC_BYTES);
  };
  return {
    write: (scope, lastKey) => Buffer.concat([macOf(scope, lastKey), Buffer.from(lastKey)]).toString("base64url"),
    read(scope, token) {
      if (token === "") return undefined;
      const bytes = Buffer.from(token, "base64url");
      const lastKey = bytes.subarray(MAC_BYTES).toString();
      const isOurs = bytes.length > MAC_BYTES && timingSafeEqual(bytes.subarray(0, MAC_BYTES), macOf(scope, lastKey));
      if (!isOurs) throw new ConduitError("page_token_invalid");
      return lastKey;
    },
  };
}

/** Rows of a page: 0 = 50, above 500 = 500; negative sizes were refused at the door. */
export const pageSizeOf = (requested: number): number =>
  requested === 0 ? PAGE_SIZE_DEFAULT : Math.min(requested, PAGE_SIZE_MAX);

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** "" = this was the last. */
  readonly nextPageToken: string;
}

/** One page of a list; `read` is asked for one row more than fits, which says whether there is another page. */
export async function readPage<Row>(
  tokens: PageTokens,
  scope: ListScope,
  request: PageRequest,
  read: (after: string | undefined, limit: number) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): Promise<Page<Row>> {
  const size = pageSizeOf(request.pageSize);
  const found = await read(tokens.read(scope, request.pageToken), size + 1);
  const rows = found.slice(0, size);
  const last = rows.at(-1);
  const hasMore = found.length > size && last !== undefined;
  return { rows, nextPageToken: hasMore ? tokens.write(scope, keyOf(last)) : "" };
}
