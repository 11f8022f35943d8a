// Process: a whole control plane on PostgreSQL, as `conduit server` runs it, with a project, a link and a minter's key.
// Argument: the database's URL. Asked "setup", it says what a caller needs.
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { createClient } from "@connectrpc/connect";
import { pino } from "pino";
import { Registry } from "prom-client";
import { LOCAL_OPERATOR } from "../../server/src/control/control.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { startControlPlane } from "../../server/src/run/control-plane.ts";
import { type ControlSetup, serveParent } from "./messages.ts";

const [url = ""] = process.argv.slice(2);
const plane = await startControlPlane({
  location: { kind: "postgres", url: new SecretText(url) },
  masterKeys: new SecretText(Buffer.from(systemRandom.bytes(32)).toString("base64")),
  host: "127.0.0.1",
  httpPort: 0,
  grpcPort: 0,
  publicUrl: "https://conduit.example",
  tls: undefined,
  reflection: false,
  trustedProxies: [],
  routes: [],
  log: pino({ level: "info" }, pino.destination({ dest: "/dev/null", sync: true })),
  registry: new Registry(),
});

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
const setup: ControlSetup = { parent, link, apiKey: apiKey?.key ?? "" };

process.on("message", (message) => {
  if (message === "setup") process.send?.(setup);
});
serveParent(plane.grpcPort);
