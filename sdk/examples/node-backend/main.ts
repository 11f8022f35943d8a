// A back end to copy, with the page it serves:
//   npm start                                    (in another terminal: makes .conduit/dev.json)
//   npm exec -- node --conditions=conduit-source sdk/examples/node-backend/main.ts [path of dev.json] [port]
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createControlClient } from "@conduit-link/sdk/server";
import { answerBackEnd } from "./back-end.ts";
import { Sessions } from "./sessions.ts";
import { Users } from "./users.ts";

interface DevFile {
  readonly proxy_url: string;
  readonly control_url: string;
  readonly api_key: string;
  readonly project: string;
  readonly link: string;
  readonly link_id: string;
  readonly link_token: string;
}

const [devFile = ".conduit/dev.json", port = "8090"] = process.argv.slice(2);
const dev = JSON.parse(
  await readFile(devFile, "utf8").catch((cause: unknown) => {
    throw new Error(`${devFile} cannot be read; is npm start running?`, { cause });
  }),
) as DevFile;

const users = new Users();
await users.add("ada@example.com", "correct horse battery");
// A real back end has a key of its own with the role minter, from its environment; the demo's is the operator's.
const control = createControlClient({ url: dev.control_url, apiKey: process.env.CONDUIT_API_KEY ?? dev.api_key });
const options = { users, sessions: new Sessions(control, dev.project, [dev.link]), isSecure: false };

const HERE = dirname(fileURLToPath(import.meta.url));
/** The SDK as the browser gets it: its source here, `dist` where it is installed from npm. A bundler does this as well. */
const SDK = fileURLToPath(import.meta.resolve("@conduit-link/sdk"));
const forBrowser = (script: string): string =>
  stripTypeScriptTypes(script).replace('"@conduit-link/sdk"', `"/sdk/${basename(SDK)}"`);
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".ts": "text/javascript",
  ".js": "text/javascript",
};
/** Scripts of this origin only, calls to it and to the proxy only: what an injected script could do is little. */
const POLICY = `default-src 'none'; script-src 'self'; connect-src 'self' ${dev.proxy_url}; frame-ancestors 'none'`;

/** The page and its scripts, none of them from anywhere else. */
async function answerFile(path: string, response: ServerResponse): Promise<void> {
  if (path === "/facts.json") {
    const facts = { url: `${dev.proxy_url}/${dev.link_id}`, linkToken: dev.link_token };
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(facts));
    return;
  }
  const file = fileOf(path);
  const text = file === undefined ? undefined : await readFile(file, "utf8").catch(() => undefined);
  if (file === undefined || text === undefined) {
    response.writeHead(404).end();
    return;
  }
  const headers = { "Content-Type": `${TYPES[extname(file)]}; charset=utf-8`, "Content-Security-Policy": POLICY };
  response.writeHead(200, headers).end(extname(file) === ".ts" ? forBrowser(text) : text);
}

function fileOf(path: string): string | undefined {
  if (path === "/") return join(HERE, "page.html");
  if (path === "/page.ts") return join(HERE, "page.ts");
  // One file of one folder: no path out of it.
  return /^\/sdk\/[a-z-]+\.(?:ts|js)$/.test(path) ? join(dirname(SDK), basename(path)) : undefined;
}

const server = createServer(async (request, response) => {
  const isOurs = await answerBackEnd(options, request, response);
  if (!isOurs) await answerFile(request.url ?? "", response);
});
server.listen(Number(port), "127.0.0.1", () => {
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  console.log(`http://127.0.0.1:${bound}/  (ada@example.com, correct horse battery)`);
});
