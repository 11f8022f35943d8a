import type { Random } from "../random.ts";

/** RFC 4648 base 32 in lower case: no two of its characters are easily confused, and all may stand in a host name. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const SUFFIX_LENGTH = 8;
const SLUG_MAX = 40;

/**
 * `<slug>-<8 base32>`: the slug makes it readable, 40 random bits make it new.
 * @param fallback slug when the text gives none
 * @param slugMax characters of the slug
 */
export function newId(random: Random, text: string, fallback: string, slugMax = SLUG_MAX): string {
  const suffix = [...random.bytes(SUFFIX_LENGTH)].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
  return `${slugOf(text, slugMax) || fallback}-${suffix}`;
}

/** `Weather API (v2)` → `weather-api-v2`; "" when nothing is left or no letter begins it. */
function slugOf(text: string, max: number): string {
  const plain = text.normalize("NFKD").toLowerCase().replace(/\p{M}/gu, "");
  const words = plain.replace(/[^a-z0-9]+/g, "-").replace(/^[-0-9]+/, "");
  return words.slice(0, max).replace(/-+$/, "");
}
