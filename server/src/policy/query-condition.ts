/** Values by decoded name. */
type QueryReading = ReadonlyMap<string, readonly string[]>;

/** A query by name, once as `&` separates it and once as a server reads it that splits at `;` too. */
export interface ParsedQuery {
  readonly readings: readonly QueryReading[];
}

/** Reads a query without its `?`; `+` is a space (URL standard, urlencoded parsing). What cannot be decoded stays as sent. */
export function parseQuery(query: string): ParsedQuery {
  const readings = [readPairs(query.split("&"))];
  // Parameter pollution: `a=1;role=admin` is one value to some servers and two parameters to others.
  if (query.includes(";")) readings.push(readPairs(query.split(/[&;]/)));
  return { readings };
}

function readPairs(parts: readonly string[]): QueryReading {
  const byName = new Map<string, string[]>();
  for (const part of parts) {
    if (part === "") continue;
    const at = part.indexOf("=");
    const name = decode(at < 0 ? part : part.slice(0, at));
    const value = at < 0 ? "" : decode(part.slice(at + 1));
    const known = byName.get(name);
    if (known === undefined) byName.set(name, [value]);
    else known.push(value);
  }
  return byName;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

/** A parameter and the value a rule wants of it. */
export interface WantedParameter {
  readonly name: string;
  readonly value: string;
}

/** Whether each name has its value somewhere: enough for a deny rule, which a repeated name must not switch off. */
export function touchesQuery({ readings }: ParsedQuery, wanted: readonly WantedParameter[]): boolean {
  return readings.some((reading) => wanted.every(({ name, value }) => reading.get(name)?.includes(value) === true));
}
