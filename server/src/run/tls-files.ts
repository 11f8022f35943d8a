import { readFileSync } from "node:fs";
import { wrongSetting } from "../model/exit.ts";
import type { TlsFiles } from "../settings.ts";

/** A PEM file named by a flag. @throws ExitError (2) naming the flag */
export function readPem(path: string, flag: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw Object.assign(wrongSetting(`--${flag}: ${path} cannot be read`), { cause });
  }
}

/** Certificate chain and key as PEM texts; undefined = plain. */
export const readTls = (files: TlsFiles | undefined): { cert: string; key: string } | undefined =>
  files && { cert: readPem(files.certPath, "tls-cert"), key: readPem(files.keyPath, "tls-key") };
