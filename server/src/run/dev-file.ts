import { chmodSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { refusedByEnvironment } from "../model/exit.ts";

/** What `<data-dir>/dev.json` tells the developer's own scripts (contract.md 11). Addresses have no trailing slash. */
export interface DevFile {
  readonly proxy_url: string;
  readonly control_url: string;
  readonly admin_url: string;
  /** `127.0.0.1:<port>`. */
  readonly grpc_address: string;
  /** Operator key. */
  readonly api_key: string;
  readonly project: string;
  /** Resource name. */
  readonly link: string;
  readonly link_id: string;
  readonly link_token: string;
  /** The second demo link, `link_token_mode: OFF`. */
  readonly open_link_id: string;
  /** Resource name of the HS256 issuer. */
  readonly issuer: string;
  readonly iss: string;
  /** The key is its UTF-8 bytes. */
  readonly hs256_secret: string;
  readonly built_in_iss: string;
  /** Base URL of the demo links. */
  readonly upstream_url: string;
  readonly pid: number;
  /** RFC 3339. */
  readonly start_time: string;
}

const TEXT_KEYS = [
  "api_key",
  "project",
  "link",
  "link_id",
  "link_token",
  "open_link_id",
  "issuer",
  "iss",
  "hs256_secret",
  "upstream_url",
] as const satisfies ReadonlyArray<keyof DevFile>;

/**
 * The file of the start before; undefined when there is none.
 * @throws ExitError (3) when there is one that cannot be read: it is the developer's to repair or to delete
 */
export function readDevFile(path: string): DevFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw refusedByEnvironment(
      `${path} cannot be read: make it readable, or delete it to get new demo credentials`,
      cause,
    );
  }
  const value = parseObject(text);
  if (value === undefined || TEXT_KEYS.some((key) => typeof value[key] !== "string"))
    throw refusedByEnvironment(`${path} is damaged: repair it, or delete it to get new demo credentials`);
  return value as unknown as DevFile;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Writes the file for the owner's eyes only, by rename: a reader sees the old one or the new one, whole. */
export function writeDevFile(path: string, file: DevFile): void {
  const draft = `${path}.${file.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}
