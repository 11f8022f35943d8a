// promises.md R4 for the control plane: SIGTERM while both ports are busy fails no call that had begun. Scored on the audit
// trail: what was answered is there, and what was not answered was not done.
import { Agent, request } from "node:http";
import { create } from "@bufbuild/protobuf";
import { MintTokenRequestSchema, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { rawGrpc } from "../support/raw-grpc.ts";
import { type ApartStack, startApart } from "../support/stack.ts";
import { until } from "../support/until.ts";

const PROJECT = "projects/busy";
const LINK = `${PROJECT}/links/busy-api`;
const CLIENTS = 8;
const CALLS_BEFORE_STOP = 400;

let database: PostgresServer;
let stack: ApartStack;
let url: string;

beforeAll(async () => {
  database = await startPostgres();
  url = await database.createDatabase();
  stack = await startApart(url);
  await stack.control.call("conduit.v1.ProjectService", "CreateProject", { projectId: "busy" });
  const link = {
    upstream: { baseUrl: "https://api.example" },
    rules: [{ path: "/**" }],
    issuers: [`${PROJECT}/issuers/built-in`],
  };
  await stack.control.call("conduit.v1.LinkService", "CreateLink", { parent: PROJECT, linkId: "busy-api", link });
}, 120_000);
afterAll(async () => {
  await stack.proxy.stop();
  await database.stop();
});

/** What each client was told, one entry per call: `OK`, or why not. */
interface Told {
  readonly grpc: string[];
  readonly connect: string[];
}

/** Calls until the server is gone. */
async function overGrpc({ grpc: told }: Told): Promise<void> {
  using grpc = rawGrpc(stack.grpcAddress);
  const message = create(MintTokenRequestSchema, { parent: PROJECT, subject: "over-grpc", links: [LINK] });
  const options = { authorization: `Bearer ${stack.apiKey}`, deadlineMs: 20_000 };
  do told.push((await grpc.call(TokenService.method.mintToken, message, options)).status);
  while (told.at(-1) !== "UNAVAILABLE");
}

async function overConnect({ connect: told }: Told): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const mint = () =>
    new Promise<string>((resolve) => {
      const call = request(
        `${stack.controlUrl}/conduit.v1.TokenService/MintToken`,
        {
          agent,
          method: "POST",
          headers: { authorization: `Bearer ${stack.apiKey}`, "content-type": "application/json" },
        },
        (response) => {
          response.resume();
          response.once("end", () => resolve(response.statusCode === 200 ? "OK" : `${response.statusCode}`));
          response.once("error", () => resolve("cut off in the answer"));
        },
      );
      call.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      call.end(JSON.stringify({ parent: PROJECT, subject: "over-connect", links: [LINK] }));
    });
  let last: string;
  do {
    last = await mint();
    told.push(last);
  } while (last === "OK");
  agent.destroy();
}

test("R4: SIGTERM under load on both ports: every call that was done was answered, and the server ends with 0", async () => {
  const told: Told = { grpc: [], connect: [] };
  const clients = Array.from({ length: CLIENTS }, () => [overGrpc(told), overConnect(told)]).flat();
  await until(
    "both ports are busy",
    () => (Math.min(told.grpc.length, told.connect.length) >= CALLS_BEFORE_STOP ? true : undefined),
    60_000,
  );
  expect(await stack.server.stop("SIGTERM")).toBe(0);
  await Promise.all(clients);
  const sql = postgres(url, { max: 1 });
  const rows = await sql`select details->>'subject' as subject, count(*)::int as done from audit_records
    where action = 'TokenService.MintToken' group by 1 order by 1`;
  await sql.end();
  const answered = (results: readonly string[]) => results.filter((result) => result === "OK").length;
  process.stdout.write(
    `R4: ${answered(told.grpc)} gRPC and ${answered(told.connect)} Connect calls answered around SIGTERM\n`,
  );
  expect(rows.map(({ subject, done }) => [subject, done])).toEqual([
    ["over-connect", answered(told.connect)],
    ["over-grpc", answered(told.grpc)],
  ]);
  // Refused before anything was done: no connection, or one that was idle when it was closed.
  expect([...new Set(told.grpc)].toSorted()).toEqual(["OK", "UNAVAILABLE"]);
  expect(["OK", "ECONNREFUSED", "ECONNRESET"]).toEqual(expect.arrayContaining([...new Set(told.connect)]));
}, 120_000);
