/** What `takeParameter` makes of a query. */
export interface TakenParameter {
  /** Decoded values, in order; "" among them. */
  readonly values: readonly string[];
  /** The query without the parameter, everything else byte for byte. */
  readonly rest: string;
  /** A server that splits at `;` too would still find the parameter in `rest`. */
  readonly isAmbiguous: boolean;
}

/** Takes a parameter out of a query (without `?`). @param name decoded */
export function takeParameter(query: string, name: string): TakenParameter {
  const parts = query.split("&");
  const taken = parts.filter((part) => nameOfPart(part) === name);
  const rest = parts.filter((part) => nameOfPart(part) !== name).join("&");
  const isAmbiguous = rest.includes(";") && rest.split(/[&;]/).some((part) => nameOfPart(part) === name);
  return { values: taken.map(valueOfPart), rest, isAmbiguous };
}

const nameOfPart = (part: string): string => decode(part.split("=", 1)[0] ?? "");
const valueOfPart = (part: string): string => (part.includes("=") ? decode(part.slice(part.indexOf("=") + 1)) : "");

/** URL standard, urlencoded parsing; what cannot be decoded stays as sent. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
