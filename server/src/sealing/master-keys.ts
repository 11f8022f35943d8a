import { wrongSetting } from "../model/exit.ts";
import type { SecretText } from "../model/secret-text.ts";
import { KEY_BYTES, type SealingKey, sealingKey } from "./sealing-key.ts";

/** Keys that wrap data keys: the first wraps new ones, all unwrap. */
export type MasterKeys = readonly [SealingKey, ...SealingKey[]];

/**
 * Reads master keys: base64 of 32 bytes each, several separated by commas or white space.
 * @param setting names the variable or file in errors, which never show any part of a key
 * @throws ExitError (2)
 */
export function parseMasterKeys(text: SecretText, setting = "CONDUIT_MASTER_KEY"): MasterKeys {
  const parts = text.reveal().split(/[\s,]+/);
  const [first, ...others] = parts.filter((part) => part !== "").map((part, index) => parseKey(part, index, setting));
  if (first === undefined) throw wrongSetting(`${setting}: is empty; give the base64 of ${KEY_BYTES} random bytes`);
  const ids = new Set([first, ...others].map(({ id }) => id));
  if (ids.size <= others.length) throw wrongSetting(`${setting}: holds the same key twice`);
  return [first, ...others];
}

function parseKey(part: string, index: number, setting: string): SealingKey {
  const which = `${setting}: key ${index + 1}`;
  // Buffer.from skips what is not base64: a key with a typing error would silently become another key.
  if (!/^[0-9A-Za-z+/_-]+={0,2}$/.test(part)) throw wrongSetting(`${which} is not base64`);
  const bytes = Buffer.from(part, "base64");
  if (bytes.length !== KEY_BYTES)
    throw wrongSetting(
      `${which} has ${bytes.length} bytes instead of ${KEY_BYTES}; make one with \`openssl rand -base64 32\``,
    );
  const key = sealingKey(bytes);
  bytes.fill(0);
  return key;
}
