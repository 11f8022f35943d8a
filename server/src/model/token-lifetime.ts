/** Life of an access token when neither the request nor the project says (contract.md 8). */
export const ACCESS_TOKEN_LIFETIME_DEFAULT_MS = 15 * 60 * 1000;

/** Longest life of an access token that we mint (contract.md 8). */
export const ACCESS_TOKEN_LIFETIME_MAX_MS = 24 * 60 * 60 * 1000;

/** Name, `=` and value of a cookie: browsers drop longer ones without a word (RFC 6265 6.1). */
export const COOKIE_MAX_BYTES = 4_096;

/** After a token's expiry somebody's clock may still accept it: leeway 60 s, key sets cached for 300 s. */
export const CLOCKS_MARGIN_MS = 360_000;
