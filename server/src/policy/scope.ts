/**
 * The scope of a token made from what somebody already holds: never more than that (RFC 6749 6, RFC 8693 2.2.1).
 * @param wanted space separated; "" = all that is held
 * @returns each scope once, space separated; undefined = something is wanted that is not held
 */
export function narrowScope(held: readonly string[], wanted: string): string | undefined {
  const scopes = wanted === "" ? held : wanted.split(" ");
  return scopes.every((scope) => held.includes(scope)) ? [...new Set(scopes)].join(" ") : undefined;
}
