// Process: a control plane on PostgreSQL, as `conduit server` runs it. Arguments: the database's URL and the master key.
// Asked "setup", it lets a proxy join and gives its credential; asked "memory", it says what it takes.
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { createClient } from "@connectrpc/connect";
import { LOCAL_OPERATOR } from "../../server/src/control/control.ts";
import { collectedResidentBytes } from "./config-memory.ts";
import type { ConfigServerSetup, MemoryAnswer } from "./config-messages.ts";
import { startMeasuredPlane } from "./measured-plane.ts";
import { serveParent } from "./messages.ts";

const [url = "", masterKey = ""] = process.argv.slice(2);
const plane = await startMeasuredPlane(url, masterKey);

async function setup(): Promise<ConfigServerSetup> {
  const proxies = createClient(ProxyService, plane.control.transportAs(LOCAL_OPERATOR));
  const { joinToken } = await proxies.createJoinToken({});
  const { credential } = await proxies.joinProxy({ joinToken });
  return { proxyCredential: credential };
}

const ANSWERS: Readonly<Record<string, () => Promise<unknown>>> = {
  setup,
  memory: async () => ({ residentBytes: await collectedResidentBytes() }) satisfies MemoryAnswer,
};

process.on("message", (message: string) => {
  ANSWERS[message]?.().then(
    (answer) => process.send?.(answer),
    (cause: unknown) => {
      console.error(`config-server: ${String(cause)}`);
      process.exit(1);
    },
  );
});
serveParent(plane.grpcPort);
