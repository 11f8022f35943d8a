// Process: a whole control plane on PostgreSQL, as `conduit server` runs it, with a project, a link and a minter's key.
// Argument: the database's URL. Asked "setup", it says what a caller needs; asked for deeds, it does them.
import { create } from "@bufbuild/protobuf";
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { RefreshTokenRequestSchema, TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { createClient, createHandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { sql } from "drizzle-orm";
import { LOCAL_OPERATOR } from "../../server/src/control/control.ts";
import { systemRandom } from "../../server/src/random.ts";
import { preparedSql } from "../../server/src/store/prepared-query.ts";
import { startMeasuredPlane } from "./measured-plane.ts";
import { type ControlSetup, type DeedAnswer, type DeedOrder, serveParent } from "./messages.ts";

/** Clients of each workload. */
const CLIENTS_MAX = 64;

const [url = ""] = process.argv.slice(2);
const plane = await startMeasuredPlane(url, Buffer.from(systemRandom.bytes(32)).toString("base64"));

const transport = plane.control.transportAs(LOCAL_OPERATOR);
const parent = "projects/bench";
await createClient(ProjectService, transport).createProject({ projectId: "bench", project: {} });
const link = `${parent}/links/bench-link`;
await createClient(LinkService, transport).createLink({
  parent,
  linkId: "bench-link",
  link: { upstream: { baseUrl: "https://api.example" }, rules: [{ path: "/**" }] },
});
const { apiKey } = await createClient(ApiKeyService, transport).createApiKey({
  parent,
  apiKey: { role: Role.MINTER, requestsPerMinute: 6_000_000 },
});
const openSession = async (index: number): Promise<string> => {
  const subject = `auth0|${index}`;
  const minted = await createClient(TokenService, transport).mintToken({ parent, subject, links: [link], session: {} });
  return minted.refreshToken;
};
/** Each client its own session. */
const refreshTokens = await Promise.all(Array.from({ length: CLIENTS_MAX }, (_, index) => openSession(index)));
const setup: ControlSetup = { parent, link, apiKey: apiKey?.key ?? "" };

await plane.store.transaction(async (tx) => {
  await tx.execute(sql`create table bench_rows (id int primary key, value int not null)`);
  await tx.execute(
    sql`insert into bench_rows select id, 0 from generate_series(0, ${CLIENTS_MAX - 1}::int) as row(id)`,
  );
});
const UPDATE_ROW = preparedSql(
  sql`update bench_rows set value = value + 1 where id = ${sql.placeholder("id")}::text::int`,
);

const tokens = plane.control.services.find(({ service }) => service.typeName === TokenService.typeName)
  ?.implementation as ServiceImpl<typeof TokenService>;

const DEEDS: Readonly<Record<DeedOrder["deed"], (client: number) => Promise<void>>> = {
  async refresh(client) {
    const context = createHandlerContext({
      ...{ service: TokenService, method: TokenService.method.refreshToken, protocolName: "bench" },
      ...{ requestMethod: "POST", url: "http://bench.invalid/" },
    });
    const request = create(RefreshTokenRequestSchema, { refreshToken: refreshTokens[client] ?? "" });
    refreshTokens[client] = (await tokens.refreshToken(request, context)).refreshToken ?? "";
  },
  // A row for each client: the least that a change of something stored takes.
  async update(client) {
    await plane.store.transaction((tx) => UPDATE_ROW.run(tx, { id: `${client}` }));
  },
};

async function repeat({ deed, clients, durationMs }: DeedOrder): Promise<DeedAnswer> {
  const untilMs = performance.now() + durationMs;
  let completed = 0;
  const runOne = async (client: number): Promise<void> => {
    while (performance.now() < untilMs) {
      await DEEDS[deed](client);
      completed += 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(clients, CLIENTS_MAX) }, (_, client) => runOne(client)));
  return { completed };
}

process.on("message", (message: "setup" | "cpu" | DeedOrder) => {
  if (message === "setup") process.send?.(setup);
  else if (message !== "cpu") void repeat(message).then((answer) => process.send?.(answer));
});
serveParent(plane.grpcPort);
