// Looks for many known secrets in many bytes at once, in every spelling that one would meet them in.

/** One secret, in one of its spellings. */
interface Needle {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface SecretSearch {
  /** Names of the secrets found in the bytes, each once, with the spelling. */
  find(haystack: Uint8Array): string[];
  /** How many spellings are looked for. */
  readonly size: number;
}

/** Shorter spellings would be found by accident. */
const MIN_BYTES = 12;
const BITMAP_BITS = 22;

/**
 * @param secrets by name; bytes that are not text as a Buffer. Looked for: raw, hex in both cases, base64 and base64url
 * at each of the three alignments, UTF-16 in both byte orders
 */
export function searchFor(secrets: ReadonlyMap<string, string | Buffer>): SecretSearch {
  const needles = [...secrets].flatMap(([name, secret]) => spellingsOf(name, secret));
  // Every needle by its first four bytes; most positions are ruled out by one bit.
  const byHead = Map.groupBy(needles, ({ bytes }) => bytes.readUInt32LE(0));
  const bitmap = new Uint8Array(1 << BITMAP_BITS);
  for (const head of byHead.keys()) bitmap[slotOf(head)] = 1;
  return {
    size: needles.length,
    find(haystack) {
      const bytes = Buffer.from(haystack.buffer, haystack.byteOffset, haystack.byteLength);
      const found = new Set<string>();
      let head = 0;
      for (let at = 0; at < bytes.length; at += 1) {
        head = ((head >>> 8) | ((bytes[at] as number) << 24)) >>> 0;
        if (bitmap[slotOf(head)] !== 1) continue;
        const start = at - 3;
        for (const needle of byHead.get(head) ?? [])
          if (
            start >= 0 &&
            bytes.compare(
              needle.bytes,
              0,
              needle.bytes.length,
              start,
              Math.min(bytes.length, start + needle.bytes.length),
            ) === 0
          )
            found.add(needle.name);
      }
      return [...found];
    },
  };
}

const slotOf = (head: number): number => Math.imul(head, 0x9e3779b1) >>> (32 - BITMAP_BITS);

function spellingsOf(name: string, secret: string | Buffer): Needle[] {
  const raw = Buffer.from(secret as string);
  const spellings: [kind: string, bytes: Buffer][] = [
    ["raw", raw],
    ["hex", Buffer.from(raw.toString("hex"))],
    ["HEX", Buffer.from(raw.toString("hex").toUpperCase())],
    ...[0, 1, 2].flatMap((shift) => base64At(raw, shift)),
  ];
  if (typeof secret === "string") {
    const utf16 = Buffer.from(secret, "utf16le");
    spellings.push(["UTF-16LE", utf16], ["UTF-16BE", Buffer.from(utf16).swap16()]);
  }
  for (const [kind, bytes] of spellings)
    if (bytes.length < MIN_BYTES) throw new TypeError(`${name} is too short to look for as ${kind}`);
  return spellings.map(([kind, bytes]) => ({ name: `${name} (${kind})`, bytes }));
}

/** The characters of base64 that the secret alone decides when `shift` unknown bytes stand before it. */
function base64At(raw: Buffer, shift: number): [kind: string, bytes: Buffer][] {
  const padded = Buffer.concat([Buffer.alloc(shift), raw]);
  const [first, last] = [Math.ceil((shift * 8) / 6), Math.floor((padded.length * 8) / 6)];
  return (["base64", "base64url"] as const).map((form) => [
    `${form} at ${shift}`,
    Buffer.from(padded.toString(form).slice(first, last)),
  ]);
}
