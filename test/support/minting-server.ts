// A `conduit server` on a database, with a project and a link: enough to mint, refresh and change.
import { randomBytes } from "node:crypto";
import { type ControlClient, createControlClient } from "@conduit-link/sdk/server";
import { startConduit } from "./conduit.ts";
import { type ConduitProcess, runConduit } from "./conduit-process.ts";
import { makeTmpDir } from "./tmp-dir.ts";

export interface MintingServer {
  readonly process: ConduitProcess;
  /** As operator. */
  readonly control: ControlClient;
  readonly project: string;
  readonly link: string;
  /** For another replica on the same database, and for `--local` commands. */
  readonly env: Readonly<Record<string, string>>;
  /** Status and body of `/readyz`. */
  readyz(): Promise<{ readonly status: number; readonly text: string }>;
}

/** @param database variables that say where the database is */
export async function startMintingServer(database: Readonly<Record<string, string>>): Promise<MintingServer> {
  const env = { CONDUIT_MASTER_KEY: randomBytes(32).toString("base64"), ...database };
  const flags = ["--role", "operator", "--local", "--json", "--data-dir", makeTmpDir("conduit-key-").path];
  const created = await runConduit(["api-key", "create", ...flags], { env });
  if (created.exit !== 0) throw new Error(created.stderr);
  const { key } = JSON.parse(created.stdout) as { key: string };
  const process = await startConduit("server", { env });
  const control = createControlClient({ url: `http://127.0.0.1:${process.ports.http}`, apiKey: key });
  const project = "projects/faults";
  await control.call("conduit.v1.ProjectService", "CreateProject", { projectId: "faults" });
  await control.call("conduit.v1.LinkService", "CreateLink", {
    parent: project,
    linkId: "faults-api",
    link: {
      upstream: { baseUrl: "https://api.example" },
      issuers: [`${project}/issuers/built-in`],
      rules: [{ path: "/**" }],
    },
  });
  const readyz = async () => {
    const answer = await fetch(`http://127.0.0.1:${process.ports.admin}/readyz`);
    return { status: answer.status, text: await answer.text() };
  };
  return { process, control, project, link: `${project}/links/faults-api`, env, readyz };
}
