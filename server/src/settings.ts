import { developmentMasterKey, readPrivateFile } from "./key-file.ts";
import { type HostPort, isLoopbackHost, parseHostPort, urlHost } from "./model/address.ts";
import { refusedByEnvironment, wrongSetting } from "./model/exit.ts";
import { SecretText } from "./model/secret-text.ts";

/** The environment's variables. The only place that reads them. */
export type Environment = Readonly<Record<string, string | undefined>>;

export const readEnvironment = (): Environment => process.env;

/** Flags as the command line gives them: text or switches, not yet checked. */
export interface RawFlags {
  readonly dataDir: string;
  readonly host?: string;
  readonly proxyPort?: string;
  readonly httpPort?: string;
  readonly grpcPort?: string;
  readonly adminPort?: string;
  readonly publicUrl?: string;
  readonly trustedProxies?: string;
  readonly log?: string;
  readonly behindTls?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly insecureGrpc?: boolean;
  readonly reflection?: boolean;
  readonly control?: string;
  readonly controlCa?: string;
  readonly insecureControl?: boolean;
  readonly maxConfigAge?: string;
  readonly proxyCredentialDays?: string;
}

export interface TlsFiles {
  readonly certPath: string;
  readonly keyPath: string;
}

interface CommonSettings {
  readonly dataDir: string;
  readonly host: string;
  /** 0 = any free one. */
  readonly adminPort: number;
  readonly log: "json" | "text";
}

export interface DevSettings extends CommonSettings {
  readonly proxyPort: number;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly publicUrl?: string;
  readonly trustedProxies: readonly string[];
}

export interface ServerSettings extends CommonSettings {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly publicUrl?: string;
  readonly tls?: TlsFiles;
  readonly behindTls: boolean;
  readonly insecureGrpc: boolean;
  readonly reflection: boolean;
  readonly trustedProxies: readonly string[];
  /** Base64 of one or more 32-byte keys, separated by commas: the first seals, all open. */
  readonly masterKeys: SecretText;
  /** Age at which proxies are told to replace their credentials; absent = 30 days. */
  readonly proxyCredentialMaxAgeMs?: number;
  /** Absent: PGlite in the data directory. */
  readonly database?: DatabaseSettings;
}

/** Where PostgreSQL is. */
export interface DatabaseSettings {
  readonly url: SecretText;
  /** Straight to PostgreSQL, when `url` leads to a pooler that gives connections by transaction. */
  readonly listenUrl?: SecretText;
  /** Connections of this process at most; 1-500, default 10. One more listens for changes. */
  readonly poolSize?: number;
}

export interface ProxySettings extends CommonSettings {
  readonly proxyPort: number;
  readonly trustedProxies: readonly string[];
  readonly tls?: TlsFiles;
  readonly behindTls: boolean;
  readonly control: readonly HostPort[];
  readonly controlCaPath?: string;
  readonly insecureControl: boolean;
  /** Refuse everything when the configuration is not known to be younger; absent = serve with what is known. */
  readonly maxConfigAgeMs?: number;
  readonly joinToken?: SecretText;
  readonly credential?: SecretText;
}

/** Where client commands find the API. */
export interface ClientSettings {
  readonly controlUrl: string;
  readonly apiKey: SecretText;
}

function port(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535)
    throw wrongSetting(`--${flag}: give a port, 0-65535 (0 = any free one)`);
  return value;
}

/** Below 30 s one late sign of life of the control plane would stop everything. */
function configAgeMs(text: string): number {
  const seconds = Number(text);
  if (!/^\d{2,8}$/.test(text) || seconds < 30) throw wrongSetting("--max-config-age: give whole seconds, at least 30");
  return seconds * 1000;
}

function logFormat(text: string | undefined, fallback: "json" | "text"): "json" | "text" {
  if (text !== undefined && text !== "json" && text !== "text") throw wrongSetting("--log: give json or text");
  return text ?? fallback;
}

/** A URL without trailing slash, path allowed: it becomes the head of issuers' `iss`. */
function publicUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined && url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  const isSecure = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (!isPlain || !isSecure)
    throw wrongSetting(
      "--public-url: give the https URL under which clients reach the HTTP port (http only on loopback)",
    );
  return url.href.replace(/\/+$/, "");
}

const list = (text: string | undefined): string[] =>
  (text ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");

function tlsFiles(flags: RawFlags): TlsFiles | undefined {
  if (flags.tlsCert === undefined && flags.tlsKey === undefined) return undefined;
  if (flags.tlsCert === undefined || flags.tlsKey === undefined)
    throw wrongSetting("--tls-cert and --tls-key: give both, PEM files");
  return { certPath: flags.tlsCert, keyPath: flags.tlsKey };
}

/** `NAME` from the environment, or the content of the file that `NAME_FILE` names. */
function secretVariable(environment: Environment, name: string): SecretText | undefined {
  const text = environment[name];
  const path = environment[`${name}_FILE`];
  if (text !== undefined && text !== "" && path !== undefined)
    throw wrongSetting(`${name}: set it or ${name}_FILE, not both`);
  if (path !== undefined) return readPrivateFile(path, `${name}_FILE`);
  return text === undefined || text === "" ? undefined : new SecretText(text);
}

const common = (flags: RawFlags, host: string, log: "json" | "text"): CommonSettings => ({
  dataDir: flags.dataDir,
  host: flags.host ?? host,
  adminPort: port("admin-port", flags.adminPort, 8083),
  log: logFormat(flags.log, log),
});

/** `conduit dev`: everything on loopback, everything generated. */
export function devSettings(flags: RawFlags): DevSettings {
  const url = publicUrl(flags.publicUrl);
  const base = common(flags, "127.0.0.1", "text");
  if (!isLoopbackHost(base.host))
    throw wrongSetting(
      "--host: `conduit dev` listens on loopback only; use `conduit server` and `conduit proxy` elsewhere",
    );
  return {
    ...base,
    proxyPort: port("proxy-port", flags.proxyPort, 8080),
    httpPort: port("http-port", flags.httpPort, 8081),
    grpcPort: port("grpc-port", flags.grpcPort, 8082),
    trustedProxies: list(flags.trustedProxies),
    ...(url !== undefined && { publicUrl: url }),
  };
}

/** The master key of `conduit dev`: a file beside the data. */
export const devMasterKey = (dataDir: string) => developmentMasterKey(`${dataDir}/master.key`);

/** The master keys of production mode. @throws ExitError (3) when there is none: nothing is generated */
export function masterKeys(environment: Environment): SecretText {
  const keys = secretVariable(environment, "CONDUIT_MASTER_KEY");
  if (keys === undefined)
    throw refusedByEnvironment(
      "CONDUIT_MASTER_KEY or CONDUIT_MASTER_KEY_FILE: missing. It seals every secret in the database; " +
        "make one with `openssl rand -base64 32` and keep a copy apart from the database",
    );
  return keys;
}

const POOL_SIZE_MAX = 500;

/** `DATABASE_URL`, `DATABASE_LISTEN_URL`, `DATABASE_POOL_SIZE`; absent = PGlite in the data directory. */
export function databaseSettings(environment: Environment): DatabaseSettings | undefined {
  const url = secretVariable(environment, "DATABASE_URL");
  const listenUrl = secretVariable(environment, "DATABASE_LISTEN_URL");
  const size = environment.DATABASE_POOL_SIZE ?? "";
  if (url === undefined) {
    if (listenUrl !== undefined) throw wrongSetting("DATABASE_LISTEN_URL: give DATABASE_URL too");
    return undefined;
  }
  const poolSize = size === "" ? undefined : Number(size);
  if (poolSize !== undefined && !(/^\d{1,3}$/.test(size) && poolSize >= 1 && poolSize <= POOL_SIZE_MAX))
    throw wrongSetting(`DATABASE_POOL_SIZE: give a number of connections, 1-${POOL_SIZE_MAX}`);
  return { url, ...(listenUrl !== undefined && { listenUrl }), ...(poolSize !== undefined && { poolSize }) };
}

/** `conduit server`. @throws ExitError (2, 3) naming the flag or variable that is wrong */
export function serverSettings(flags: RawFlags, environment: Environment): ServerSettings {
  const base = common(flags, "::", "json");
  const tls = tlsFiles(flags);
  const isLocal = isLoopbackHost(base.host);
  if (!isLocal && tls === undefined && flags.behindTls !== true)
    throw wrongSetting(
      "the HTTP port would be plain off loopback: give --tls-cert and --tls-key, or --behind-tls, or --host 127.0.0.1",
    );
  if (!isLocal && tls === undefined && flags.insecureGrpc !== true)
    throw wrongSetting(
      "the gRPC port carries secrets and would be plain off loopback: give --tls-cert and --tls-key, or --insecure-grpc",
    );
  const url = publicUrl(flags.publicUrl);
  const database = databaseSettings(environment);
  return {
    ...base,
    httpPort: port("http-port", flags.httpPort, 8081),
    grpcPort: port("grpc-port", flags.grpcPort, 8082),
    behindTls: flags.behindTls === true,
    insecureGrpc: flags.insecureGrpc === true,
    reflection: flags.reflection === true,
    trustedProxies: list(flags.trustedProxies),
    masterKeys: masterKeys(environment),
    ...(flags.proxyCredentialDays !== undefined && {
      proxyCredentialMaxAgeMs: credentialAgeMs(flags.proxyCredentialDays),
    }),
    ...(url !== undefined && { publicUrl: url }),
    ...(tls !== undefined && { tls }),
    ...(database !== undefined && { database }),
  };
}

function controlAddresses(flags: RawFlags): HostPort[] {
  const addresses = list(flags.control).map((text) => {
    const address = parseHostPort(text);
    if (address === undefined)
      throw wrongSetting("--control: give host:port of the control plane's gRPC port, several separated by commas");
    return address;
  });
  if (addresses.length === 0) throw wrongSetting("--control: missing; give host:port of the control plane's gRPC port");
  return addresses;
}

function credentialAgeMs(text: string): number {
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > 3_650)
    throw wrongSetting("--proxy-credential-days: give whole days, 1 to 3650");
  return days * 86_400_000;
}

/** `conduit proxy`. @throws ExitError (2, 3) naming the flag or variable that is wrong */
export function proxySettings(flags: RawFlags, environment: Environment): ProxySettings {
  const base = common(flags, "::", "json");
  const tls = tlsFiles(flags);
  if (!isLoopbackHost(base.host) && tls === undefined && flags.behindTls !== true)
    throw wrongSetting(
      "the proxy port would be plain off loopback: give --tls-cert and --tls-key, or --behind-tls, or --host 127.0.0.1",
    );
  const joinToken = secretVariable(environment, "CONDUIT_JOIN_TOKEN");
  const credential = secretVariable(environment, "CONDUIT_PROXY_CREDENTIAL");
  return {
    ...base,
    proxyPort: port("proxy-port", flags.proxyPort, 8080),
    trustedProxies: list(flags.trustedProxies),
    behindTls: flags.behindTls === true,
    control: controlAddresses(flags),
    insecureControl: flags.insecureControl === true,
    ...(flags.maxConfigAge !== undefined && { maxConfigAgeMs: configAgeMs(flags.maxConfigAge) }),
    ...(tls !== undefined && { tls }),
    ...(flags.controlCa !== undefined && { controlCaPath: flags.controlCa }),
    ...(joinToken !== undefined && { joinToken }),
    ...(credential !== undefined && { credential }),
  };
}

/** Client commands: `--control-url` or `CONDUIT_URL`, and `CONDUIT_API_KEY` or its file. */
export function clientSettings(controlUrl: string | undefined, environment: Environment): ClientSettings {
  const text = controlUrl ?? environment.CONDUIT_URL;
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined)
    throw wrongSetting(
      "--control-url or CONDUIT_URL: give the URL of the control plane's HTTP port, as http://127.0.0.1:8081",
    );
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopbackHost(url.hostname)))
    throw wrongSetting("--control-url: an API key is sent there, so it must be https (http only on loopback)");
  const apiKey = secretVariable(environment, "CONDUIT_API_KEY");
  if (apiKey === undefined)
    throw wrongSetting("CONDUIT_API_KEY or CONDUIT_API_KEY_FILE: missing; it holds a key of this API (cl_key_…)");
  return { controlUrl: url.href.replace(/\/+$/, ""), apiKey };
}

/** `http://host:port` of a listener, as a person on this machine reaches it. */
export function urlOf(scheme: "http" | "https", host: string, boundPort: number): string {
  const name = host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
  return `${scheme}://${urlHost(name)}:${boundPort}`;
}
