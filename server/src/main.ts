import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { apiKeyCreate } from "./cli/api-key-create.ts";
import { auditExport } from "./cli/audit-export.ts";
import { explainRequest } from "./cli/explain.ts";
import { issuerPresets } from "./cli/issuer-presets.ts";
import { jwtDecode } from "./cli/jwt-decode.ts";
import { linkDebugKey } from "./cli/link-debug-key.ts";
import { linkDiff } from "./cli/link-diff.ts";
import { linkHistory } from "./cli/link-history.ts";
import { linkRollback } from "./cli/link-rollback.ts";
import { type Output, processOutput } from "./cli/output.ts";
import { proxyJoinToken } from "./cli/proxy-join-token.ts";
import { proxyList } from "./cli/proxy-list.ts";
import { proxyRevoke } from "./cli/proxy-revoke.ts";
import { proxyRotate } from "./cli/proxy-rotate.ts";
import { rolloutStatus, rolloutWait } from "./cli/rollout.ts";
import { tokenMint } from "./cli/token-mint.ts";
import { systemClock } from "./clock.ts";
import { ConduitError } from "./model/errors.ts";
import { EXIT, ExitError, wrongSetting } from "./model/exit.ts";
import {
  clientSettings,
  devSettings,
  proxySettings,
  type RawFlags,
  readEnvironment,
  serverSettings,
} from "./settings.ts";

const ROLES = ["operator", "owner", "editor", "minter", "viewer"];

/** The `conduit` command: parses `argv` (without node and script), runs it, and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await run(argv, processOutput);
  if (process.exitCode !== EXIT.done) process.exit();
}

/** Runs one command line. @returns the exit code (contract.md 11) */
export async function run(argv: readonly string[], output: Output): Promise<number> {
  try {
    await createProgram(output).parseAsync([...argv], { from: "user" });
    return EXIT.done;
  } catch (error) {
    return explain(error, output);
  }
}

/** One line for people, never a stack trace: the cause is in the log where there is one. */
function explain(error: unknown, output: Output): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof ExitError) {
    output.err(`conduit: ${error.message}`);
    return error.exitCode;
  }
  if (error instanceof ConduitError) {
    output.err(`conduit: ${error.detail}`);
    return error.code === "store_unavailable" ? EXIT.unreachable : EXIT.failed;
  }
  output.err(`conduit: ${error instanceof Error ? error.message : "failed"}`);
  return EXIT.failed;
}

/** What needs a database or a socket is imported by its command alone: a client of the API starts in a tenth of the time. */
function createProgram(output: Output): Command {
  const program = new Command("conduit")
    .description("Conduit Link: call an API from an app that may not hold its key")
    .exitOverride()
    .configureOutput({ writeOut: (text) => output.out(text.trimEnd()), writeErr: (text) => output.err(text.trimEnd()) })
    .showHelpAfterError("(conduit --help lists the commands)");
  addDev(program, output);
  addServer(program, output);
  addProxy(program, output);
  addRollout(program, output);
  addApiKey(program, output);
  addKeys(program, output);
  addAudit(program, output);
  addToken(program, output);
  addIssuer(program, output);
  addLink(program, output);
  addExplain(program, output);
  addJwt(program, output);
  return program;
}

/** Flags of every process. */
const processFlags = (command: Command): Command =>
  command
    .option("--data-dir <path>", "where data is kept", ".conduit")
    .option("--host <address>", "address to listen on")
    .option("--admin-port <port>", "health and metrics, on 127.0.0.1 (default: 8083)")
    .option("--log <format>", "json or text");

const tlsFlags = (command: Command): Command =>
  command
    .option("--tls-cert <path>", "certificate chain, PEM")
    .option("--tls-key <path>", "its key, PEM")
    .option("--behind-tls", "something in front of this process speaks TLS");

const clientFlags = (command: Command): Command =>
  command
    .option("--control-url <url>", "HTTP port of the control plane (default: CONDUIT_URL)")
    .option("--json", "print JSON", false);

function addDev(program: Command, output: Output): void {
  processFlags(program.command("dev"))
    .description("both planes, demo links and a page, for development (what `npm start` runs)")
    .option("--proxy-port <port>", "default: 8080")
    .option("--http-port <port>", "default: 8081")
    .option("--grpc-port <port>", "default: 8082")
    .option("--public-url <url>", "URL of the HTTP port, fixed in the built-in issuer")
    .option("--trusted-proxies <list>", "addresses or networks whose X-Forwarded-For counts")
    .action(async (flags: RawFlags) => {
      const { runDev } = await import("./run/dev.ts");
      await runDev(devSettings(flags), output);
    });
}

function addServer(program: Command, output: Output): void {
  tlsFlags(processFlags(program.command("server")))
    .description("the control plane; DATABASE_URL or PGlite, CONDUIT_MASTER_KEY[_FILE]")
    .option("--http-port <port>", "Connect, gRPC-Web, JWKS (default: 8081)")
    .option("--grpc-port <port>", "gRPC and the proxies' streams (default: 8082)")
    .option("--public-url <url>", "URL of the HTTP port, fixed in a project's issuer")
    .option("--insecure-grpc", "let the gRPC port be plain off loopback")
    .option("--reflection", "serve gRPC reflection")
    .option("--proxy-credential-days <n>", "age at which proxies replace their credentials (default: 30)")
    .option("--trusted-proxies <list>", "addresses or networks whose X-Forwarded-For counts")
    .action(async (flags: RawFlags) => {
      const { runServer } = await import("./run/server.ts");
      await runServer(serverSettings(flags, readEnvironment()), output);
    });
}

/** A flag given several times counts as one list. */
const joined = (text: string, before: string | undefined): string =>
  before === undefined ? text : `${before},${text}`;

function addProxy(program: Command, output: Output): void {
  const proxy = tlsFlags(processFlags(program.command("proxy")))
    .description("a proxy; CONDUIT_JOIN_TOKEN at its first start")
    .option("--proxy-port <port>", "default: 8080")
    .option(
      "--control <list>",
      "host:port of the control plane's gRPC port, several by commas or by repeating it",
      joined,
    )
    .option("--control-ca <path>", "certificate authority of the control plane, PEM")
    .option("--insecure-control", "let the control channel be plain off loopback")
    .option("--max-config-age <seconds>", "refuse everything when not known to be current for so long (default: serve)")
    .option("--trusted-proxies <list>", "addresses or networks whose X-Forwarded-For counts")
    .action(async (flags: RawFlags) => {
      const { runProxy } = await import("./run/proxy.ts");
      await runProxy(proxySettings(flags, readEnvironment()), output);
    });
  clientFlags(proxy.command("join-token"))
    .description("make a token with which one proxy joins, once, within an hour")
    .option("--display-name <text>", "shown in lists")
    .action((flags) => proxyJoinToken(clientSettings(flags.controlUrl, readEnvironment()), flags, output));
  clientFlags(proxy.command("list"))
    .description("list the proxies and what each has applied")
    .action((flags) => proxyList(clientSettings(flags.controlUrl, readEnvironment()), flags, output));
  clientFlags(proxy.command("rotate <proxy>"))
    .description("have a proxy replace its credential, which it does by itself within seconds")
    .action((name, flags) => proxyRotate(clientSettings(flags.controlUrl, readEnvironment()), name, flags, output));
  clientFlags(proxy.command("revoke <proxy>"))
    .description("shut a proxy out for good: its streams end, and the others get a new key; asks")
    .option("--reason <text>", "why, for the audit trail")
    .option("--yes", "do not ask", false)
    .action((name, flags) => {
      const streams = { stdin: process.stdin, output };
      return proxyRevoke(clientSettings(flags.controlUrl, readEnvironment()), name, flags, streams);
    });
}

function addRollout(program: Command, output: Output): void {
  const rollout = program.command("rollout").description("is a change in force everywhere?");
  clientFlags(rollout.command("wait"))
    .description("wait until every live proxy has applied a change; exit 5 when not in time, 1 when one rejects it")
    .option("--sequence <n>", "config_sequence of the change (default: the newest)")
    .option("--timeout <duration>", "as 90, 90s, 5m or 1h", "60s")
    .action((flags) =>
      rolloutWait(clientSettings(flags.controlUrl, readEnvironment()), flags, { clock: systemClock, output }),
    );
  clientFlags(rollout.command("status"))
    .description("how many live proxies have applied a change")
    .option("--sequence <n>", "config_sequence of the change (default: the newest)")
    .action((flags) => rolloutStatus(clientSettings(flags.controlUrl, readEnvironment()), flags, output));
}

function addApiKey(program: Command, output: Output): void {
  const apiKey = program.command("api-key").description("management keys");
  clientFlags(apiKey.command("create"))
    .description("make a key and print it, once")
    .addOption(new Option("--role <role>", "what it may do").choices(ROLES).makeOptionMandatory())
    .option("--project <id>", "its project; operator keys have none")
    .option("--display-name <text>", "shown in lists")
    .option("--local", "write to the database directly: the first key of an installation")
    .option("--data-dir <path>", "with --local, where PGlite keeps its data", ".conduit")
    .action(async (flags) => {
      if ((flags.role === "operator") !== (flags.project === undefined))
        throw wrongSetting("--project: every role but operator needs one, and operator has none");
      if (flags.local === true) {
        const { createLocalApiKey } = await import("./run/local.ts");
        await createLocalApiKey(flags, readEnvironment(), output);
      } else await apiKeyCreate(clientSettings(flags.controlUrl, readEnvironment()), flags, output);
    });
}

function addIssuer(program: Command, output: Output): void {
  program
    .command("issuer")
    .description("signers of users' tokens")
    .command("presets")
    .description("what to enter for Auth0, Firebase, Cognito, Okta, Keycloak, Clerk, Supabase, Entra ID and Google")
    .option("--json", "print JSON", false)
    .option("--markdown", "print the page of the docs", false)
    .action((flags) => issuerPresets(flags, output));
}

/** Commands on the database itself; with PGlite the server must be stopped. */
const localFlags = (command: Command): Command =>
  command
    .requiredOption("--local", "work on the database directly")
    .option("--data-dir <path>", "where PGlite keeps its data", ".conduit")
    .option("--json", "print JSON", false);

function addKeys(program: Command, output: Output): void {
  const keys = program.command("keys").description("the keys that seal what is stored (CONDUIT_MASTER_KEY[_FILE])");
  localFlags(keys.command("status"))
    .description("which master keys are used and which are given")
    .action(async (flags) => (await import("./run/local-keys.ts")).localKeyStatus(flags, readEnvironment(), output));
  localFlags(keys.command("rewrap"))
    .description("wrap every data key by the first master key; may be stopped and run again")
    .action(async (flags) => (await import("./run/local-keys.ts")).localRewrap(flags, readEnvironment(), output));
  localFlags(keys.command("rotate-data-key"))
    .description("a new data key, and all values sealed anew; of the installation unless a project is named")
    .option("--project <id>", "the project")
    .action(async (flags) =>
      (await import("./run/local-keys.ts")).localRotateDataKey(flags, readEnvironment(), output),
    );
}

function addAudit(program: Command, output: Output): void {
  const audit = program.command("audit").description("who minted, refreshed, revoked or changed what");
  localFlags(audit.command("verify"))
    .description("check that the sealed records are as they were sealed; exit 1 when they are not")
    .option("--head <number:hash>", "the head an earlier run printed: it must still be in the chain")
    .action(async (flags) => (await import("./run/local-audit.ts")).localAuditVerify(flags, readEnvironment(), output));
  audit
    .command("export")
    .description("print events as JSON lines, newest first")
    .option("--control-url <url>", "HTTP port of the control plane (default: CONDUIT_URL)")
    .option("--project <id>", "the project; without one everything, for operators")
    .option("--since <time>", "from then on, RFC 3339")
    .option("--until <time>", "before then, RFC 3339")
    .action((flags) => auditExport(clientSettings(flags.controlUrl, readEnvironment()), flags, output));
}

function addToken(program: Command, output: Output): void {
  const collect = (value: string, previous: string[]) => {
    if (value === "") throw new InvalidArgumentError("give a link id");
    return [...previous, value];
  };
  clientFlags(program.command("token").description("users' tokens").command("mint"))
    .description("mint a user's access token and print it")
    .requiredOption("--project <id>", "the project")
    .requiredOption("--subject <sub>", "who the user is")
    .requiredOption("--link <id>", "a link the token is for; may be repeated", collect, [])
    .option("--lifetime <duration>", "as 15m or 900s")
    .option("--claims <json>", "further claims")
    .option("--scope <scope>", "the scope claim")
    .action((flags) => tokenMint(clientSettings(flags.controlUrl, readEnvironment()), flags, output));
}

function addLink(program: Command, output: Output): void {
  const link = program.command("link").description("links");
  const linkCommand = (usage: string) =>
    clientFlags(link.command(usage)).option("--project <id>", "the link's project, when it is named by its id");
  linkCommand("debug-key <link>")
    .description("make a key with which X-Debug-JWT says why the link refuses tokens; printed once")
    .option("--lifetime <duration>", "as 15m, 900s or 1h (default: 1h, at most 24h)")
    .action((name, flags) => linkDebugKey(clientSettings(flags.controlUrl, readEnvironment()), name, flags, output));
  linkCommand("history <link>")
    .description("list every version of a link: who changed what, when and why")
    .action((name, flags) => linkHistory(clientSettings(flags.controlUrl, readEnvironment()), name, flags, output));
  linkCommand("diff <link>")
    .description("what differs between two versions of a link (default: what the last change changed)")
    .option("--from <revision>", "number of the one version")
    .option("--to <revision>", "number of the other")
    .action((name, flags) => linkDiff(clientSettings(flags.controlUrl, readEnvironment()), name, flags, output));
  linkCommand("rollback <link>")
    .description("write an earlier version of a link again; shows what that changes, and asks")
    .option("--to <revision>", "number of the version (default: the one before the newest)")
    .option("--reason <text>", "why, for the history and the audit trail")
    .option("--yes", "do not ask", false)
    .action((name, flags) => {
      const streams = { stdin: process.stdin, output };
      return linkRollback(clientSettings(flags.controlUrl, readEnvironment()), name, flags, streams);
    });
}

function addExplain(program: Command, output: Output): void {
  clientFlags(program.command("explain"))
    .description("say which stage of a link would refuse a user's token, and why")
    .requiredOption("--link <link>", "the link: projects/<project>/links/<link>, or its id with --project")
    .option("--project <id>", "the link's project, when it is named by its id")
    .option("--token-file <path>", "file with the user's JWT, - for standard input (default: standard input)")
    .option("--method <method>", "HTTP method (default: GET)")
    .option("--path <path>", "path after the link's id, with its query: asks the rules too")
    .action((flags) =>
      explainRequest(clientSettings(flags.controlUrl, readEnvironment()), flags, process.stdin, output),
    );
}

function addJwt(program: Command, output: Output): void {
  program
    .command("jwt")
    .description("JSON Web Tokens")
    .command("decode")
    .description("print what a token says of itself, unverified, without a network")
    .option("--token-file <path>", "file with the JWT, - for standard input (default: standard input)")
    .option("--json", "print JSON on one line", false)
    .action((flags) => jwtDecode(flags, process.stdin, output));
}
