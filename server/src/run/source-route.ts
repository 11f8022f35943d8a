import { readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PlainRoute } from "../model/plain-http.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PREFIX = "/assets/";
/** The only folders whose files are served, each file by its path in the repository. */
const FOLDERS = ["sdk/src/", "server/dashboard/"];
const PATH = /^[a-z0-9/-]+\.(?:ts|css)$/;
const TYPES: Record<string, string> = { ".ts": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8" };

/**
 * Serves the page's and the SDK's sources to the browser, types stripped: no build step. The strict pattern (no dots
 * but the extension's) keeps `..` and hidden files out.
 */
export const sourceRoute: PlainRoute = async ({ method, path }) => {
  const file = path.slice(PREFIX.length);
  const isServed = path.startsWith(PREFIX) && PATH.test(file) && FOLDERS.some((folder) => file.startsWith(folder));
  if (!isServed || (method !== "GET" && method !== "HEAD")) return undefined;
  const text = await readFile(join(ROOT, file), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const extension = extname(file);
  const body = extension === ".ts" ? stripTypeScriptTypes(text) : text;
  return { status: 200, headers: { "Content-Type": TYPES[extension] ?? "", "Cache-Control": "no-cache" }, body };
};
