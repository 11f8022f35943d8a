// A real headless Chromium from npm: no apt, no root, no download at run time.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";

const CACHE = fileURLToPath(new URL("../../node_modules/.cache/chromium", import.meta.url));
/** Makes the package unpack NSS too, which machines without a desktop lack. */
const UNPACK_ENVIRONMENT = { AWS_LAMBDA_JS_RUNTIME: "nodejs24.x" };

/**
 * Launches the browser; `await using browser = await launchBrowser()` closes it. The first call on a machine unpacks it
 * (211 MB, about 3 s). Web Locks and WebCrypto need a secure context: serve pages on 127.0.0.1, not as `data:`.
 */
export async function launchBrowser(args: readonly string[] = []): Promise<Browser> {
  const version = packageVersion();
  const folder = unpack(version);
  const browser = await chromium.launch({
    executablePath: join(folder, "chromium"),
    args: ["--no-sandbox", "--disable-gpu", ...args],
    env: { ...process.env, LD_LIBRARY_PATH: join(folder, "al2023/lib"), FONTCONFIG_FILE: join(folder, "fonts.conf") },
  });
  const [major] = version.split(".");
  if (browser.version().split(".")[0] === major) return browser;
  await browser.close();
  throw new Error(`Chromium is ${browser.version()}, expected ${major}: remove ${folder}`);
}

function packageVersion(): string {
  const entry = createRequire(import.meta.url).resolve("@sparticuz/chromium");
  const manifest = readFileSync(join(dirname(entry), "../package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

/**
 * Unpacks into a folder named after the version, by rename: the package reuses any `chromium` it finds in TMPDIR, of
 * whatever version and however much of it is written. In a process of its own, since it changes its environment.
 */
function unpack(version: string): string {
  const folder = join(CACHE, version);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const scratch = mkdtempSync(join(CACHE, "unpacking-"));
  const script = 'await (await import("@sparticuz/chromium")).default.executablePath()';
  execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: dirname(fileURLToPath(import.meta.url)),
    env: { ...process.env, ...UNPACK_ENVIRONMENT, TMPDIR: scratch },
    stdio: ["ignore", "ignore", "inherit"],
  });
  writeFileSync(join(scratch, "fonts.conf"), fontsConfig(folder));
  try {
    renameSync(scratch, folder);
  } catch (cause) {
    // Another test file was faster.
    rmSync(scratch, { recursive: true, force: true });
    if (!existsSync(folder)) throw cause;
  }
  return folder;
}

/** The package's own configuration names folders of a cloud function; without any font Chromium crashes on text. */
const fontsConfig = (folder: string): string => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(folder, "fonts")}</dir>
  <cachedir>${join(folder, "fonts-cache")}</cachedir>
</fontconfig>
`;
