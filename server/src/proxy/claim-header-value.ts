/** What a claim is as a header's value, or why it cannot be one. */
export type ClaimHeaderValue = { readonly value: string } | { readonly problem: string };

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the three that end a line or a string
const LINE_BREAK = /[\r\n\u0000]/;
/** Sent as it is: visible ASCII but `%`, and spaces that do not stand at an end. */
const PLAIN = /^[\x21-\x24\x26-\x7e](?:[\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?$/;

/**
 * A claim as a header's value (contract.md 5): texts percent-encoded where they are not visible ASCII, lists of texts
 * joined with `, `, everything else as JSON. Whatever the claim holds, it stays one header line (S16).
 */
export function claimHeaderValue(claim: unknown): ClaimHeaderValue {
  if (typeof claim === "string") return textValue(claim);
  if (Array.isArray(claim) && claim.every((element) => typeof element === "string")) return listValue(claim);
  return { value: encode(JSON.stringify(claim)) };
}

function textValue(text: string): ClaimHeaderValue {
  return LINE_BREAK.test(text) ? { problem: "must not contain line breaks or NUL" } : { value: encode(text) };
}

function listValue(elements: readonly string[]): ClaimHeaderValue {
  // A comma inside an element would make two of it: `editor,admin`.
  const isAmbiguous = elements.some((element) => element.includes(",") || CONTROL.test(element));
  if (isAmbiguous) return { problem: "must not have elements with commas or control characters" };
  return { value: encode(elements.join(", ")) };
}

function encode(text: string): string {
  if (text === "" || PLAIN.test(text)) return text;
  const bytes = Buffer.from(text, "utf8");
  let encoded = "";
  for (const [at, byte] of bytes.entries()) {
    const isInnerSpace = byte === 0x20 && at > 0 && at < bytes.length - 1;
    const isPlain = isInnerSpace || (byte > 0x20 && byte < 0x7f && byte !== 0x25);
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
