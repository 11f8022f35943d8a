// The server of the plain page and of the React app:
//   npm start                                    (in another terminal: makes .conduit/dev.json)
//   npm run build -w sdk
//   npm exec -- node sdk/examples/page-server/main.ts page [path of dev.json] [port]
//   npm exec -- node sdk/examples/page-server/main.ts react-app
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { answerLogin, USER_ID } from "./login.ts";

interface DevFile {
  readonly proxy_url: string;
  readonly link_id: string;
  readonly link_token: string;
  readonly iss: string;
  readonly hs256_secret: string;
}

const [example = "page", devFile = ".conduit/dev.json", port = "8091"] = process.argv.slice(2);
const dev = JSON.parse(
  await readFile(devFile, "utf8").catch((cause: unknown) => {
    throw new Error(`${devFile} cannot be read; is npm start running?`, { cause });
  }),
) as DevFile;
const login = { secret: dev.hs256_secret, issuer: dev.iss, lifetime: process.env.TOKEN_LIFETIME ?? "15m" };
const facts = { url: `${dev.proxy_url}/${dev.link_id}`, linkToken: dev.link_token, userId: USER_ID };

const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript" };

/** The React app in one file, as any bundler makes it. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [folder("../react-app/app.tsx")],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    jsx: "automatic",
    // Also silences that the built package, here no part of node_modules, imports chunks for their order only.
    logLevel: "error",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  return outputFiles[0]?.text ?? "";
}
const app = example === "react-app" ? await bundle() : undefined;

async function textOf(path: string): Promise<string | undefined> {
  if (path === "/facts.json") return JSON.stringify(facts);
  if (path === "/app.js") return app;
  const file = fileOf(path);
  return file === undefined ? undefined : readFile(file, "utf8").catch(() => undefined);
}

function fileOf(path: string): string | undefined {
  if (path === "/") return join(folder(`../${example}`), "index.html");
  if (path === "/page.js") return join(folder("../page"), "page.js");
  // Files of the built package only: no path out of it.
  return /^\/sdk(?:\/[a-z]+)?\/[\w-]+\.js$/i.test(path)
    ? join(folder("../../dist"), path.slice("/sdk".length))
    : undefined;
}

async function answerFile(path: string, response: ServerResponse): Promise<void> {
  const text = await textOf(path);
  const type = TYPES[extname(path === "/" ? "index.html" : path)] ?? "application/json";
  response.writeHead(text === undefined ? 404 : 200, { "Content-Type": `${type}; charset=utf-8` }).end(text);
}

const server = createServer(async (request, response) => {
  const isLogin = await answerLogin(login, request, response);
  if (!isLogin) await answerFile(request.url ?? "", response);
});
server.listen(Number(port), "127.0.0.1", () => {
  const address = server.address();
  console.log(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : port}/`);
});
