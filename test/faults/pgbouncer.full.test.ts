// PgBouncer in transaction mode between two replicas and one PostgreSQL: fewer connections than the replicas' pools have.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { tryTask } from "../../server/src/store/advisory-lock.ts";
import { rowsOf, type Tx } from "../../server/src/store/database.ts";
import { openStore } from "../../server/src/store/open.ts";
import { startConduit } from "../support/conduit.ts";
import { runConduit } from "../support/conduit-process.ts";
import { isInstalled } from "../support/installed.ts";
import { type MintingServer, startMintingServer } from "../support/minting-server.ts";
import { findFreePort } from "../support/ports.ts";
import { createDatabase } from "../support/postgres.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";
import { until } from "../support/until.ts";

/** nobody: PgBouncer refuses to run as root. */
const UNPRIVILEGED_ID = 65_534;

let bouncer: ChildProcess;
let pooled: string;
let direct: string;
let server: MintingServer;

async function startBouncer(target: URL): Promise<string> {
  const port = await findFreePort();
  const folder = makeTmpDir("conduit-pgbouncer-").path;
  const ids = process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {};
  const path = `${folder}/pgbouncer.ini`;
  const settings = ["listen_addr = 127.0.0.1", `listen_port = ${port}`, "unix_socket_dir =", "auth_type = any"];
  const pool = ["pool_mode = transaction", "default_pool_size = 4", "max_client_conn = 200"];
  const database = `* = host=127.0.0.1 port=${target.port} user=postgres`;
  writeFileSync(path, ["[databases]", database, "[pgbouncer]", ...settings, ...pool, ""].join("\n"));
  if (ids.uid) for (const one of [folder, path]) chownSync(one, ids.uid, ids.gid);
  bouncer = spawn("pgbouncer", [path], { ...ids, stdio: "ignore" });
  await until("pgbouncer", async () => {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    return isOpen || undefined;
  });
  return `postgres://postgres@127.0.0.1:${port}${target.pathname}`;
}

describe.runIf(isInstalled("pgbouncer", "pgbouncer"))("through PgBouncer in transaction mode", () => {
  beforeAll(async () => {
    direct = await createDatabase();
    pooled = await startBouncer(new URL(direct));
    server = await startMintingServer({ DATABASE_URL: pooled, DATABASE_LISTEN_URL: direct });
  }, 90_000);

  afterAll(async () => {
    await server?.process.stop();
    bouncer?.kill();
  });

  test("two replicas mint and refresh at once, and the audit trail holds all of it, sealed", async () => {
    await using other = await startConduit("server", { env: server.env });
    const { project, link, control } = server;
    const urls = [server.process.ports.http, other.ports.http].map((port) => `http://127.0.0.1:${port}`);
    const sessions = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        control.mintToken({ parent: project, subject: `u${index}`, links: [link], session: {} }),
      ),
    );
    const refreshed = await Promise.all(
      sessions.map(async ({ refreshToken }, index) => {
        const answer = await fetch(`${urls[index % 2]}/conduit.v1.TokenService/RefreshToken`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ refreshToken }),
        });
        return answer.status;
      }),
    );
    expect(new Set(refreshed)).toEqual(new Set([200]));
    await until("the seal", async () => {
      const verify = ["audit", "verify", "--local", "--json", "--data-dir", makeTmpDir("conduit-verify-").path];
      const { stdout, exit } = await runConduit(verify, { env: server.env });
      const { unsealed, records } = JSON.parse(stdout) as { unsealed: number; records: number };
      return exit === 0 && unsealed === 0 && records >= 80 ? true : undefined;
    });
  }, 120_000);

  test("a change is heard by the other replica, a task is done by one at a time, and timeouts hold", async () => {
    const location = { kind: "postgres", url: new SecretText(pooled), listenUrl: new SecretText(direct) } as const;
    const effects = { clock: systemClock, random: systemRandom };
    const [one, two] = await Promise.all([openStore(location, effects), openStore(location, effects)]);
    try {
      const wake = vi.fn();
      two.onWake(wake);
      await server.control.call("conduit.v1.SecretService", "CreateSecret", {
        parent: server.project,
        secretId: "heard",
        secret: { value: Buffer.from("k".repeat(40)).toString("base64") },
      });
      await server.control.call("conduit.v1.LinkService", "CreateLink", {
        parent: server.project,
        linkId: "heard-api",
        link: { upstream: { baseUrl: "https://api.example" }, rules: [{ path: "/**" }] },
      });
      await vi.waitFor(() => expect(wake).toHaveBeenCalled(), 5_000);
      const show = (tx: Tx) => rowsOf<{ statement_timeout: string }>(tx, sql`show statement_timeout`);
      expect(await one.transaction(show)).toEqual([{ statement_timeout: "15s" }]);
      const nested = await one.transaction(async (tx) => {
        const mine = await tryTask(tx, "rewrap");
        return [mine, await two.transaction((rival) => tryTask(rival, "rewrap"))];
      });
      expect(nested).toEqual([true, false]);
      expect(await two.transaction((tx) => tryTask(tx, "rewrap"))).toBe(true);
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  }, 60_000);
});
