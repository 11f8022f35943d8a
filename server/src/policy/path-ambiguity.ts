/** `%` and two hexadecimal digits, or a broken escape. */
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
/** Raw bytes that no path may hold (RFC 3986 3.3), and the backslash, which URL parsers read as a slash. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const FORBIDDEN_RAW = /[\\#?\u0000-\u0020\u007f-\uffff]/;
/** After decoding: C0 and C1 controls, NUL among them, cut strings and log lines. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
/**
 * A dot segment in any spelling: dots and the separators around it plain or percent-encoded once or more often (an
 * upstream that decodes twice would walk upwards), path parameters after it (`..;x`, which servlet containers cut off).
 */
const DOT_SEGMENT = /(?:[/\\]|%(?:25)*(?:2f|5c))(?:\.|%(?:25)*2e){1,2}(?:$|[/\\;]|%(?:25)*(?:2f|5c|3b))/i;
/** Readings differ between servers: separators in disguise, empty segments, path parameters. */
const DISGUISED = /%2f|%5c|\/\/|;/i;
/** Nothing to decode, no dot segment, no separator in disguise: almost every path. */
const PLAIN = /^(?:\/(?:[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)?)+$/;

/**
 * Whether a path (beginning with `/`, without query) may have a second reading (contract.md 4), so that the upstream
 * could serve another path than the one judged. `isLenient` lets `%2F`, `%5C`, `//` and `;` pass, nothing else.
 */
export function isAmbiguousPath(path: string, isLenient: boolean): boolean {
  if (!path.startsWith("/")) return true;
  if (PLAIN.test(path)) return !isLenient && path.includes("//");
  if (FORBIDDEN_RAW.test(path) || DOT_SEGMENT.test(path)) return true;
  if (!isLenient && DISGUISED.test(path)) return true;
  if (!path.includes("%")) return false;
  if (BROKEN_ESCAPE.test(path)) return true;
  const decoded = decodeSegment(path);
  return decoded === undefined || CONTROL.test(decoded);
}

/** Percent-decodes once, as strict UTF-8 (no overlong forms, no surrogates); undefined when that is impossible. */
export function decodeSegment(segment: string): string | undefined {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
