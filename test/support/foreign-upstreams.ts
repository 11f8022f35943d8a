// Upstreams nobody here wrote, each made to answer with what it saw of a request.
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { findFreePort } from "./ports.ts";
import { makeTmpDir } from "./tmp-dir.ts";
import { until } from "./until.ts";

/** What an upstream made of a request. */
export interface Seen {
  readonly method: string;
  /** As it stood in the request line. */
  readonly target: string;
  /** The path as the program decoded it; undefined where it does not decode. */
  readonly decodedPath: string | undefined;
  /** All values of a header under the name the program compares by (lower case, `_` for `-`). */
  header(name: string): string[];
}

export interface ForeignUpstream {
  readonly url: string;
  /** Reads an answer's text. */
  read(text: string): Seen;
}

/** Headers that nginx is made to say; it has no list of all. */
const NGINX_HEADERS = [
  "x_api_key",
  "x_user_id",
  "x_user_roles",
  "x_tenant_id",
  "authorization",
  "cookie",
  "x_access_token",
];

export async function startNginx(): Promise<ForeignUpstream> {
  const folder = makeTmpDir("conduit-nginx-").path;
  const port = await findFreePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (it) => `${it}_temp_path ${folder}/${it};`,
  );
  const said = ["$request", "$uri", ...NGINX_HEADERS.map((name) => `${name}: $http_${name}`)].join("\\n");
  const config = `daemon off; pid ${folder}/pid; error_log stderr; events {}
    http { access_log off; underscores_in_headers on; ${temporary.join(" ")}
    server { listen 127.0.0.1:${port}; merge_slashes off; default_type text/plain; location / { return 200 "${said}"; } } }`;
  writeFileSync(join(folder, "nginx.conf"), config);
  await run(spawn("nginx", ["-c", join(folder, "nginx.conf"), "-p", folder]), port);
  return { url: `http://127.0.0.1:${port}`, read: (text) => seenOf(text, true) };
}

export async function startHaproxy(): Promise<ForeignUpstream> {
  const folder = makeTmpDir("conduit-haproxy-").path;
  const port = await findFreePort();
  const config = `defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend echo
    bind 127.0.0.1:${port}
    http-request return status 200 content-type text/plain lf-string "%[method] %[pathq] HTTP/1.1\\n%[req.hdrs]"
`;
  // It writes the line ends of %[req.hdrs] percent-encoded.
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, config);
  await run(spawn("haproxy", ["-db", "-f", file]), port);
  return { url: `http://127.0.0.1:${port}`, read: (text) => seenOf(text.replaceAll("%0D%0A", "\n"), false) };
}

const PYTHON = `
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit
class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        lines = [self.requestline, unquote(urlsplit(self.requestline.split(" ")[1]).path)]
        text = "\\n".join(lines + [f"{name}: {value}" for name, value in self.headers.items()]).encode("utf-8", "surrogateescape")
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    do_GET = do_POST = do_PUT = do_DELETE = answer
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
`;

export async function startPython(): Promise<ForeignUpstream> {
  const port = await findFreePort();
  await run(spawn("python3", ["-c", PYTHON, String(port)]), port);
  return { url: `http://127.0.0.1:${port}`, read: (text) => seenOf(text, true) };
}

/** Request line, the decoded path if there is one, header lines. */
function seenOf(text: string, hasDecodedPath: boolean): Seen {
  const [line = "", ...rest] = text.split(/\r?\n/);
  const [method = "", target = ""] = line.split(" ");
  const decodedPath = hasDecodedPath ? rest.shift() : undefined;
  const canonical = (name: string) => name.toLowerCase().replaceAll("-", "_");
  const lines = rest.map((one) => /^([^:]+): ?(.*)$/.exec(one)).filter((match) => match !== null);
  const header = (name: string) =>
    lines.flatMap(([, key = "", value = ""]) => (canonical(key) === canonical(name) && value !== "" ? [value] : []));
  return { method, target, decodedPath, header };
}

/** Waits until the program listens; ends it with the test. */
async function run(child: ChildProcess, port: number): Promise<void> {
  let said = "";
  child.stderr?.on("data", (chunk) => {
    said += String(chunk);
  });
  onTestFinished(() => void child.kill("SIGTERM"));
  await until(`${child.spawnfile} listens`, async () => {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended: ${said}`);
    return (await canConnect(port)) || undefined;
  });
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
