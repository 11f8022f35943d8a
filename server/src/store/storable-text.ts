/** Text that came from outside, cut and without what PostgreSQL does not store: NUL, and half a surrogate pair. */
export const storableText = (text: string, maxUnits: number): string =>
  text.slice(0, maxUnits).replaceAll("\u0000", "\ufffd").toWellFormed();
