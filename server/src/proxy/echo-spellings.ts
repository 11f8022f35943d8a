/** Texts as HTML and XML write them; quotes in both usual ways. */
const entities =
  (quote: string, apostrophe: string) =>
  (text: string): string =>
    text
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', quote)
      .replaceAll("'", apostrophe);

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);
const bytes = (text: string): Buffer => Buffer.from(text, "utf8");

/** How a value may stand in an upstream's answer, one row each. Not found: other encodings, compression, a value in parts. */
const SPELLINGS: readonly ((value: string) => string)[] = [
  (value) => value,
  encodeURIComponent,
  (value) => encodeURIComponent(value).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
  (value) => new URLSearchParams({ v: value }).toString().slice(2),
  escaped,
  (value) => escaped(value).replaceAll("/", "\\/"),
  entities("&quot;", "&#39;"),
  entities("&#34;", "&#x27;"),
  (value) => bytes(value).toString("base64").replace(/=+$/, ""),
  (value) => bytes(value).toString("base64url"),
];

/** Every spelling of a value, each once: as text, and as the one-character-per-byte text that header lines are made of. */
export function spellingsOf(value: string): readonly string[] {
  const texts = SPELLINGS.map((spell) => spell(value));
  return [...new Set([...texts, ...texts.map((text) => bytes(text).toString("latin1"))])];
}
