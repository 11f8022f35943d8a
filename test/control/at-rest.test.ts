import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, it } from "vitest";
import { rowsOf } from "../../server/src/store/database.ts";
import { type ControlPlane, makeLink, startControlPlane } from "./control-plane.ts";

/** Every row of every table as text, with bytea both as PostgreSQL prints it and as the characters it holds. */
async function dump({ store }: ControlPlane): Promise<string> {
  return store.read(async (reader) => {
    const names = sql`select table_name as name from information_schema.tables where table_schema = 'public'`;
    const tables = await rowsOf<{ name: string }>(reader, names);
    const parts: string[] = [];
    for (const { name } of tables) {
      const rows = await rowsOf<{ text: string }>(reader, sql`select t::text as text from ${sql.identifier(name)} t`);
      parts.push(...rows.map(({ text }) => text));
    }
    expect(tables.length).toBeGreaterThan(15);
    return parts.join("\n");
  });
}

/** In the clear, in hex (bytea) and in base64, with any alignment. */
function spellings(secret: string): string[] {
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.from(`${"x".repeat(shift)}${secret}`)
      .toString("base64")
      .slice(4, -4),
  );
  return [secret, Buffer.from(secret).toString("hex"), ...base64];
}

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

it("a dump of the database holds no token, key or secret that was ever given or shown (S22)", async () => {
  const { name: parent, keys } = await plane.makeProject("demo");
  const link = await makeLink(plane, parent);
  const value = "sEcReT-vAlUe-9fK2pQ7xLw4ZtR8vNs3bHd6m";
  const nextValue = "nExT-vAlUe-3dT8qW5zKx2LvJ7pRb4NmYh9Gc6s";
  const requestId = crypto.randomUUID();
  const secretId = "hmac";
  const { secret } = await plane.client(SecretService).createSecret({ parent, secretId, secret: { value }, requestId });
  await plane.client(SecretService).updateSecret({ secret: { name: secret!.name, nextValue } });
  const hs256 = { case: "hs256", value: { secret: secret!.name } } as const;
  await plane.client(IssuerService).createIssuer({ parent, issuer: { iss: "https://a.example", keys: hs256 } });
  const { linkToken } = await plane
    .client(LinkTokenService)
    .createLinkToken({ parent: link, linkToken: {}, requestId: crypto.randomUUID() });
  const { debugKey } = await plane.client(LinkService).createDebugKey({ parent: link, requestId: crypto.randomUUID() });
  const { apiKey } = await plane
    .client(ApiKeyService)
    .createApiKey({ apiKey: { role: Role.OPERATOR }, requestId: crypto.randomUUID() });
  const { joinToken } = await plane.client(ProxyService).createJoinToken({});
  const { credential } = await plane.client(ProxyService, null).joinProxy({ joinToken });
  const { joinToken: unused } = await plane.client(ProxyService).createJoinToken({});
  const mint = { parent, subject: "user", links: [link] };
  const { accessToken } = await plane.client(TokenService).mintToken(mint);

  const shown = [value, nextValue, linkToken!.token, debugKey, apiKey!.key, joinToken, unused, credential, accessToken];
  const text = await dump(plane);
  for (const one of [...shown, plane.operatorKey, ...Object.values(keys)])
    for (const spelling of spellings(one)) expect(text).not.toContain(spelling);
  // The private half of the signing key: its JWK has a member "d".
  expect(text).not.toMatch(/"d\\*"/);
  // What must be there, or the search has looked at nothing.
  expect(text).toContain(secret!.fingerprint);
  for (const one of shown) expect(plane.logged()).not.toContain(one);
});
