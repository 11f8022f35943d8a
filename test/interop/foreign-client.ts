// What a client in another language must have been able to do, on code that README's recipe generated: clients/ holds the
// programs, this file builds their folder and says what they must report.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { DevFile } from "../support/conduit-process.ts";
import { startHttpServer } from "../support/http-server.ts";
import { until } from "../support/until.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const CLIENTS = join(ROOT, "test/interop/clients");

/** Subjects whose sessions a client opens, in that order; the last one's is ended again. */
const SUBJECTS = ["f-one", "f-two", "f-three", "f-four", "f-five"];

/** Runs a client's mode with these settings and returns what it printed, read as JSON. */
export type ForeignClient = (mode: "calls" | "verify", settings: Record<string, unknown>) => Promise<unknown>;

interface Failure {
  readonly Code: string;
  readonly Reason: string;
  readonly Domain: string;
  readonly Fields: readonly string[];
}

interface Report {
  readonly health: string;
  readonly services: readonly string[];
  readonly deadline: Failure;
  readonly failures: Readonly<Record<string, Failure>>;
  readonly kept: { readonly token: string; readonly expiresIn: number };
  readonly revoked: { readonly token: string; readonly active: boolean };
  readonly ended: { readonly token: string; readonly refused: Failure };
  readonly links: readonly (readonly string[])[];
  readonly sessions: readonly (readonly string[])[];
}

/** Runs a program to its end. @throws Error with what it printed when it fails */
export function runProgram(
  program: string,
  args: readonly string[],
  at: Readonly<Record<string, unknown>> = {},
): string {
  const done = spawnSync(program, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024, ...at });
  if (done.status !== 0) throw new Error(`${program}: ${done.error ?? done.stderr}`);
  return done.stdout;
}

/** Makes a folder look like a clone of the repository, as far as README's recipes need it. */
export function makeClone(folder: string): void {
  mkdirSync(join(folder, "proto"), { recursive: true });
  for (const path of [".ci", "proto/buf.yaml", "proto/conduit", "proto/google", "proto/grpc"])
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
}

/** The block of code in README that holds this text, without its fences. */
export function readmeBlock(marker: string): string {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const found = [...readme.matchAll(/^```\w+\n(.*?)^```$/gms)].map(([, code = ""]) => code);
  const block = found.find((code) => code.includes(marker));
  if (block === undefined) throw new Error(`README.md has no block of code with ${marker}`);
  return block;
}

/** gRPC libraries spell codes differently: `NotFound`, `NOT_FOUND`. */
const plain = (code: string | undefined): string => (code ?? "").replaceAll("_", "").toUpperCase();
const shortOf = ({ Code, Reason, Domain, Fields }: Failure) => [plain(Code), Reason, Domain, ...new Set(Fields)];

async function statusAt(dev: DevFile, token: string, user: string): Promise<[number, string | null]> {
  const headers = { authorization: `Bearer ${token}`, "x-access-token": dev.link_token };
  const answer = await fetch(`${dev.proxy_url}/${dev.link_id}/api/users/${user}/orders`, { headers });
  return [answer.status, answer.headers.get("x-conduit-error")];
}

const untilRefused = (dev: DevFile, token: string, user: string) =>
  until(`a token of ${user} is refused`, async () => {
    const [status, code] = await statusAt(dev, token, user);
    return status === 401 && code === "token_revoked" ? true : undefined;
  });

/** Health, reflection, mint, refresh, revoke, pages, typed errors and deadlines, as the proxy and the API must show them. */
export async function expectCalls(dev: DevFile, client: ForeignClient): Promise<void> {
  const { grpc_address: Address, api_key: ApiKey, project: Project, link: Link } = dev;
  const report = (await client("calls", { Address, ApiKey, Project, Link, Subjects: SUBJECTS })) as Report;
  expect(report.health).toBe("SERVING");
  expect(report.services).toEqual(
    expect.arrayContaining(["conduit.v1.LinkService", "conduit.v1.TokenService", "grpc.health.v1.Health"]),
  );
  expect(plain(report.deadline.Code)).toBe("DEADLINEEXCEEDED");
  const { withoutKey, wrongField, notFound, wrongPage } = report.failures as Record<string, Failure>;
  expect([withoutKey, wrongField, notFound, wrongPage].map((one) => shortOf(one as Failure))).toEqual([
    ["UNAUTHENTICATED", "CREDENTIAL_INVALID", "conduit.link"],
    ["INVALIDARGUMENT", "FIELD_INVALID", "conduit.link", "subject"],
    ["NOTFOUND", "RESOURCE_NOT_FOUND", "conduit.link"],
    ["INVALIDARGUMENT", "PAGE_TOKEN_INVALID", "conduit.link"],
  ]);
  await expectTokens(dev, report);
  // Demo links one by one, sessions two by two, newest first, each once.
  expect(report.links.map((page) => page.length).every((length) => length <= 1)).toBe(true);
  expect(report.links.flat()).toEqual(expect.arrayContaining([dev.link]));
  const listed = report.sessions.flat().filter((subject) => SUBJECTS.includes(subject));
  expect(listed.toSorted()).toEqual(SUBJECTS.toSorted());
  expect(report.sessions.length).toBeGreaterThanOrEqual(3);
  expect(Math.max(...report.sessions.map((page) => page.length))).toBe(2);
}

async function expectTokens(dev: DevFile, { kept, revoked, ended }: Report): Promise<void> {
  const [first = "", last = ""] = [SUBJECTS[0], SUBJECTS.at(-1)];
  expect(Number(kept.expiresIn)).toBe(900);
  await untilRefused(dev, revoked.token, first);
  await untilRefused(dev, ended.token, last);
  expect(await statusAt(dev, kept.token, first)).toEqual([200, null]);
  expect((await statusAt(dev, kept.token, last))[0]).toBe(403);
  expect(revoked.active).toBe(false);
  expect(plain(ended.refused.Code)).toBe("UNAUTHENTICATED");
}

const post = async (dev: DevFile, method: string, message: object): Promise<Record<string, unknown>> => {
  const answer = await fetch(`${dev.control_url}/conduit.v1.${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${dev.api_key}`, "content-type": "application/json" },
    body: JSON.stringify(message),
  });
  if (!answer.ok) throw new Error(`${method}: ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown>;
};

/** Where a client finds the issuer's keys: by its metadata alone. */
async function issuerOf(dev: DevFile): Promise<{ Issuer: string; Jwks: string }> {
  const metadata = await fetch(`${dev.built_in_iss}/.well-known/openid-configuration`);
  const { issuer, jwks_uri } = (await metadata.json()) as { issuer: string; jwks_uri: string };
  return { Issuer: issuer, Jwks: jwks_uri };
}

/** The same token with another subject, and the signature it had. */
function withSubject(token: string, sub: string): string {
  const [head, body = "", mac] = token.split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as object;
  return `${head}.${Buffer.from(JSON.stringify({ ...claims, sub })).toString("base64url")}.${mac}`;
}

const REFUSED = { error: expect.any(String) };

/** A minted token verifies by the issuer's metadata and key set alone; another audience, and a changed token, do not. */
export async function expectVerified(dev: DevFile, client: ForeignClient): Promise<void> {
  const at = await issuerOf(dev);
  const request = { parent: dev.project, subject: "f-jose", links: [dev.link], roles: ["reader"] };
  const Token = String((await post(dev, "TokenService/MintToken", request)).accessToken);
  expect(await client("verify", { ...at, Token, Audience: dev.link })).toMatchObject({
    header: { typ: "at+jwt", alg: "ES256" },
    claims: { iss: dev.built_in_iss, sub: "f-jose", roles: ["reader"] },
  });
  expect(await client("verify", { ...at, Token, Audience: `${dev.project}/links/other` })).toEqual(REFUSED);
  expect(await client("verify", { ...at, Token: withSubject(Token, "root"), Audience: dev.link })).toEqual(REFUSED);
}

/** The upstream of a link that asks for assertions verifies who calls, by the same key set; a JWT is no assertion for others. */
export async function expectAssertion(dev: DevFile, client: ForeignClient): Promise<void> {
  await using upstream = await startHttpServer(() => ({ body: { ok: true } }));
  const at = await issuerOf(dev);
  const { link } = (await post(dev, "LinkService/CreateLink", {
    parent: dev.project,
    linkId: "asserted-api",
    link: {
      upstream: { baseUrl: `${upstream.url}/v1`, allowPrivate: true },
      issuers: [`${dev.project}/issuers/built-in`],
      linkTokenMode: "LINK_TOKEN_MODE_OFF",
      rules: [{ path: "/**" }],
      identityAssertion: true,
    },
  })) as { link: { name: string } };
  const request = { parent: dev.project, subject: "f-asserted", links: [link.name] };
  const { accessToken } = await post(dev, "TokenService/MintToken", request);
  const headers = { authorization: `Bearer ${accessToken}` };
  const asked = await until("an assertion reaches the upstream", async () => {
    const answer = await fetch(`${dev.proxy_url}/asserted-api/x`, { headers });
    return answer.status === 200 ? upstream.requests.at(-1) : undefined;
  });
  const [Token = ""] = asked.header("x-conduit-assertion");
  expect(await client("verify", { ...at, Token, Audience: upstream.url })).toMatchObject({
    header: { typ: "conduit-assertion+jwt", alg: "ES256" },
    claims: { iss: dev.built_in_iss, sub: "f-asserted" },
  });
  expect(await client("verify", { ...at, Token, Audience: "https://elsewhere.example" })).toEqual(REFUSED);
  expect(await client("verify", { ...at, Token: withSubject(Token, "root"), Audience: upstream.url })).toEqual(REFUSED);
}
