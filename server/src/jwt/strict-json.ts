const DEPTH_MAX = 16;
/** Names by which a careless reader would reach a prototype. */
const PROTOTYPE_NAMES: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a JSON object that has one reading (RFC 8259 4, RFC 7493): strict UTF-8 without BOM, no member twice, no prototype
 * names, no lone surrogates, at most 16 levels deep. Undefined for everything else. What one parser reads and the next
 * reads otherwise is how a token means one user here and another upstream.
 */
export function parseStrictObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value) || !hasOneReading(text)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Walks over a text that is known to be valid JSON and looks at its member names, strings and depth. */
function hasOneReading(text: string): boolean {
  /** Names per open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let isNameNext = false;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = stringEnd(text, at);
        const content = stringContent(text, at, end);
        if (content === undefined) return false;
        if (isNameNext && !addName(open.at(-1), content)) return false;
        isNameNext = false;
        at = end;
        break;
      }
      case 0x7b:
        open.push(new Set());
        isNameNext = true;
        break;
      case 0x5b:
        open.push(undefined);
        isNameNext = false;
        break;
      case 0x7d:
      case 0x5d:
        open.pop();
        isNameNext = false;
        break;
      case 0x2c:
        isNameNext = open.at(-1) !== undefined;
        break;
    }
    if (open.length > DEPTH_MAX) return false;
  }
  return true;
}

/** Index of the closing quote of the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes += 1;
  return backslashes % 2 === 1;
}

/** A string's value; undefined when it has lone surrogates, which no UTF-8 text can hold. */
function stringContent(text: string, start: number, end: number): string | undefined {
  const raw = text.slice(start + 1, end);
  if (!raw.includes("\\")) return raw;
  const content = JSON.parse(text.slice(start, end + 1)) as string;
  return content.isWellFormed() ? content : undefined;
}

function addName(names: Set<string> | undefined, name: string): boolean {
  if (names === undefined || names.has(name) || PROTOTYPE_NAMES.has(name)) return false;
  names.add(name);
  return true;
}
