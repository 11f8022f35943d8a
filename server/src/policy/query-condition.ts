/** A query as decoded pairs, once as `&` separates them and once as a server reads it that splits at `;` too. */
export interface ParsedQuery {
  readonly readings: readonly (readonly (readonly [name: string, value: string])[])[];
}

/** Reads a query without its `?`; `+` is a space (URL standard, urlencoded parsing). What cannot be decoded stays as sent. */
export function parseQuery(query: string): ParsedQuery {
  const readings = [readPairs(query.split("&"))];
  // Parameter pollution: `a=1;role=admin` is one value to some servers and two parameters to others.
  if (query.includes(";")) readings.push(readPairs(query.split(/[&;]/)));
  return { readings };
}

function readPairs(parts: readonly string[]): readonly [string, string][] {
  return parts
    .filter((part) => part !== "")
    .map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [decode(part), ""] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    });
}

function decode(text: string): string {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return text;
  }
}

/** Whether each name is there and has its value in every repetition and every reading: what an allow rule demands. */
export function meetsQuery(query: ParsedQuery, wanted: readonly (readonly [string, string])[]): boolean {
  return query.readings.every((pairs) =>
    wanted.every(([name, value]) => {
      const found = pairs.filter((pair) => pair[0] === name);
      return found.length > 0 && found.every((pair) => pair[1] === value);
    }),
  );
}

/** Whether each name has its value somewhere: enough for a deny rule, which a repeated name must not switch off. */
export function touchesQuery(query: ParsedQuery, wanted: readonly (readonly [string, string])[]): boolean {
  return query.readings.some((pairs) =>
    wanted.every(([name, value]) => pairs.some((pair) => pair[0] === name && pair[1] === value)),
  );
}
