import { EXIT, ExitError } from "../model/exit.ts";
import type { Output } from "./output.ts";
import { readToken, type TokenStream } from "./token-input.ts";

/** `conduit jwt decode`: prints what a token says of itself, without asking anybody and without believing it. */
export async function jwtDecode(
  { tokenFile, json }: { readonly tokenFile?: string; readonly json: boolean },
  stdin: TokenStream,
  output: Output,
): Promise<void> {
  const token = await readToken(tokenFile, stdin, output);
  const [header, payload, signature, ...more] = token.split(".");
  const parts = [header, payload].map(readPart);
  if (signature === undefined || more.length > 0 || parts.some((part) => part === undefined))
    throw new ExitError(
      EXIT.failed,
      "this is not a JWT: three parts of base64url, separated by dots, the first two JSON",
    );
  output.err("Decoded, not verified: anyone can write such a token. `conduit explain` asks a link whether it is good.");
  const decoded = { verified: false, header: parts[0], payload: parts[1] };
  output.out(json ? JSON.stringify(decoded) : JSON.stringify(decoded, undefined, 2));
}

/** The JSON object in a part; undefined when there is none. The text is not quoted: it may be a secret. */
function readPart(part: string | undefined): object | undefined {
  if (part === undefined || !/^[A-Za-z0-9_-]+$/.test(part)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
