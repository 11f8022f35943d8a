const utf8 = new TextEncoder();

/** HS256 (RFC 7518 section 3.2) by WebCrypto, on the compact form of RFC 7515 section 7.1. */
export interface Hs256Key {
  sign(signingInput: string): Promise<string>;
  /** Compares in constant time (`subtle.verify`). */
  verify(signingInput: string, signature: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

/**
 * A key of a shared secret; text stands for its UTF-8 bytes. Throws `TypeError` under 32 bytes (RFC 7518 section 3.2): a shorter one can
 * be found from a single token by guessing.
 */
export async function importHs256(secret: string | Uint8Array): Promise<Hs256Key> {
  // JavaScript may pass what an environment lacks.
  const bytes = typeof secret === "string" ? utf8.encode(secret) : Uint8Array.from(secret ?? []);
  if (bytes.length < 32) throw new TypeError("secret must have at least 32 bytes");
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
  return {
    sign: async (input) => encodeBase64Url(new Uint8Array(await crypto.subtle.sign("HMAC", key, utf8.encode(input)))),
    verify: (input, signature) => crypto.subtle.verify("HMAC", key, signature, utf8.encode(input)),
  };
}

/** base64url without padding, RFC 4648 section 5. */
export function encodeBase64Url(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** The JSON of a value, as a part of a compact token. */
export function encodeJsonPart(value: unknown): string {
  return encodeBase64Url(utf8.encode(JSON.stringify(value)));
}

/** Bytes of canonical base64url; `undefined` for anything that encodes back to another text, so that one token has one spelling. */
export function decodeBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) =>
    character.charCodeAt(0),
  );
  return encodeBase64Url(bytes) === text ? bytes : undefined;
}
