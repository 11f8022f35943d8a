// What a replica remembers to mint with counts only while it is true: two replicas on one PostgreSQL database.
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { RevocationService } from "@conduit-link/proto/conduit/v1/revocation_service_pb";
import { SessionService } from "@conduit-link/proto/conduit/v1/session_service_pb";
import { SigningKeyService } from "@conduit-link/proto/conduit/v1/signing_key_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { auditRecords } from "../../server/src/store/schema-audit.ts";
import { createDatabase } from "../support/postgres.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane } from "./control-plane.ts";

let minting: ControlPlane;
let other: ControlPlane;
let count = 0;
let parent: string;
let link: string;
let apiKey: { readonly name: string; readonly key: string };

beforeAll(async () => {
  const installation = { url: await createDatabase(), masterKey: Buffer.alloc(32, "shared").toString("base64") };
  minting = await startControlPlane(installation);
  other = await startControlPlane(installation);
}, 60_000);
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await minting[Symbol.asyncDispose]();
});

/** A project that the minting replica has minted for: it remembers all of it. */
beforeEach(async () => {
  count += 1;
  parent = `projects/shop${count}`;
  await other.makeProject(`shop${count}`);
  link = await makeLink(other, parent, `shop-link${count}`);
  const made = await other.client(ApiKeyService).createApiKey({ parent, apiKey: { role: Role.MINTER } });
  apiKey = { name: made.apiKey!.name, key: made.apiKey!.key };
  await mint();
  await mint();
});

const mint = (wish: { readonly lifetimeS?: number; readonly links?: readonly string[] } = {}) =>
  minting.client(TokenService, apiKey.key).mintToken({
    ...{ parent, subject: "u", links: [...(wish.links ?? [link])] },
    ...(wish.lifetimeS !== undefined && { lifetime: { seconds: BigInt(wish.lifetimeS) } }),
  });

const kidOf = (token: string): string | undefined => decodeProtectedHeader(token).kid;

async function recorded(): Promise<string[]> {
  const rows = await minting.store.read((reader) => reader.select().from(auditRecords));
  return rows
    .filter(({ resource, action }) => resource === parent && action === "TokenService.MintToken")
    .map(({ details }) => details.token_id ?? "");
}

describe("what another replica has changed before a mint began counts for it", () => {
  test("the signing key: rotated and revoked ones sign nothing", async () => {
    const keys = other.client(SigningKeyService);
    const before = kidOf((await mint()).accessToken);
    const { signingKey } = await keys.rotateSigningKey({ parent, force: true });
    const rotated = await mint();
    expect(kidOf(rotated.accessToken)).not.toBe(before);
    await keys.revokeSigningKey({ name: signingKey!.name, force: true });
    expect([before, kidOf(rotated.accessToken)]).not.toContain(kidOf((await mint()).accessToken));
  });

  test("calls under way while keys are revoked: none that begins after the answer is signed with it", async () => {
    const keys = other.client(SigningKeyService);
    for (let round = 0; round < 5; round += 1) {
      const under = Array.from({ length: 20 }, () => mint());
      const revoked = kidOf((await mint()).accessToken) ?? "";
      await keys.revokeSigningKey({ name: `${parent}/signingKeys/${revoked}`, force: true });
      const after = await Promise.all(Array.from({ length: 20 }, () => mint()));
      expect(after.map(({ accessToken }) => kidOf(accessToken))).not.toContain(revoked);
      const all = [...(await Promise.all(under)), ...after].map(({ tokenId }) => tokenId);
      expect((await recorded()).filter((id) => all.includes(id)).sort()).toEqual(all.sort());
    }
  }, 30_000);

  test("the project's lifetimes", async () => {
    await other.client(ProjectService).updateProject({
      project: { name: parent, accessTokenLifetime: { seconds: 60n }, accessTokenLifetimeMax: { seconds: 120n } },
      updateMask: { paths: ["access_token_lifetime", "access_token_lifetime_max"] },
    });
    expect((await mint()).expiresIn).toBe(60n);
    expect(await failureOf(mint({ lifetimeS: 121 }))).toMatchObject({ fields: ["lifetime"] });
    const change = { name: parent, accessTokenLifetimeMax: { seconds: 600n } };
    const paths = ["access_token_lifetime_max"];
    await other.client(ProjectService).updateProject({ project: change, updateMask: { paths } });
    // What is remembered would refuse it.
    expect((await mint({ lifetimeS: 600 })).expiresIn).toBe(600n);
  });

  test("a link: its claims, and that it is gone or has come", async () => {
    const links = other.client(LinkService);
    await links.updateLink({
      link: { name: link, tokenClaims: { plan: "gold" } },
      updateMask: { paths: ["token_claims"] },
    });
    expect(decodeJwt((await mint()).accessToken)).toMatchObject({ plan: "gold" });
    await links.deleteLink({ name: link });
    expect(await failureOf(mint())).toMatchObject({ fields: ["links[0]"] });
    const next = `shop-next${count}`;
    expect(await failureOf(mint({ links: [`${parent}/links/${next}`] }))).toMatchObject({ fields: ["links[0]"] });
    expect((await mint({ links: [await makeLink(other, parent, next)] })).accessToken).not.toBe("");
  });

  test("tokens of a person that were withdrawn: the next is dated after that", async () => {
    const before = decodeJwt((await mint()).accessToken).iat ?? 0;
    const target = { case: "subject", value: { subject: "u" } } as const;
    await other.client(RevocationService).createRevocation({ parent, revocation: { target } });
    expect(decodeJwt((await mint()).accessToken).iat).toBe(before + 1);
  });

  test("an API key that was deleted, or may mint for shorter", async () => {
    const keys = other.client(ApiKeyService);
    const { name } = apiKey;
    const tokenLifetimeMax = { seconds: 30n };
    await keys.updateApiKey({
      apiKey: { name, tokenLifetimeMax },
      updateMask: { paths: ["token_lifetime_max"] },
    });
    expect((await mint()).expiresIn).toBe(30n);
    await keys.deleteApiKey({ name });
    expect(await failureOf(mint())).toMatchObject({ reason: "CREDENTIAL_INVALID" });
  });

  test("S21: whose key is gone learns nothing from a wrong request, and opens no session", async () => {
    await other.client(ApiKeyService).deleteApiKey({ name: apiKey.name });
    const tokens = minting.client(TokenService, apiKey.key);
    for (const wrong of [{ subject: "" }, { parent: "projects/other" }, { links: [`${link}-no`] }, { session: {} }])
      expect(await failureOf(tokens.mintToken({ parent, subject: "u", links: [link], ...wrong }))).toMatchObject({
        ...{ reason: "CREDENTIAL_INVALID", fields: [] },
      });
    const { sessions } = await other.client(SessionService).listSessions({ parent });
    expect(sessions).toEqual([]);
  });

  test("an API key bound to addresses, and free again", async () => {
    const bind = (allowedAddresses: string[]) =>
      other.client(ApiKeyService).updateApiKey({
        apiKey: { name: apiKey.name, allowedAddresses },
        updateMask: { paths: ["allowed_addresses"] },
      });
    await bind(["192.0.2.1"]);
    // The caller of a test has no address.
    for (const _again of [1, 2]) expect(await failureOf(mint())).toMatchObject({ reason: "ADDRESS_DENIED" });
    await bind([]);
    expect((await mint()).accessToken).not.toBe("");
  });

  test("the API key's text: rotated, both count until the old one is over", async () => {
    const rotated = await other.client(ApiKeyService).rotateApiKey({ name: apiKey.name, overlap: { seconds: 60n } });
    await mint();
    await mint();
    for (const plane of [minting, other]) plane.clock.advance(61_000);
    expect(await failureOf(mint())).toMatchObject({ reason: "CREDENTIAL_INVALID" });
    apiKey = { name: apiKey.name, key: rotated.apiKey!.key };
    expect((await mint()).accessToken).not.toBe("");
  });
});

test("S23: a mint that is refused leaves no record, one that is answered leaves one", async () => {
  const before = await recorded();
  await failureOf(mint({ lifetimeS: 86_400 * 30 }));
  const { tokenId } = await mint();
  expect(new Set(await recorded())).toEqual(new Set([...before, tokenId]));
});
