import { decodeBase64Url } from "./hs256.ts";

/** A JWS in compact form (RFC 7515 section 7.1), taken apart and not verified. */
export interface Compact {
  readonly header: Record<string, unknown>;
  readonly payload: Record<string, unknown>;
  readonly signingInput: string;
  readonly signature: Uint8Array<ArrayBuffer>;
}

const maxTokenBytes = 16 * 1024;

/**
 * Reads the strict compact form: three parts in canonical base64url, at most 16 KiB, header and payload JSON objects in UTF-8; `undefined` =
 * it is none.
 */
export function readCompact(token: unknown): Compact | undefined {
  const parts = typeof token === "string" && token.length <= maxTokenBytes ? token.split(".") : [];
  const [header, payload, signature] = parts.map(decodeBase64Url);
  if (parts.length !== 3 || !header || !payload || !signature) return undefined;
  const objects = { header: readObject(header), payload: readObject(payload) };
  if (!objects.header || !objects.payload) return undefined;
  const text = token as string;
  const signingInput = text.slice(0, text.lastIndexOf("."));
  return { header: objects.header, payload: objects.payload, signingInput, signature };
}

function readObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
