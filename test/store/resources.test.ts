// What the API's resources rest on: rows come back as they were written, ids are unique, versions guard writes.
import { describe, expect, test } from "vitest";
import { getApiKey, insertApiKey } from "../../server/src/store/api-keys.ts";
import {
  deleteIssuer,
  getIssuer,
  insertIssuer,
  issuersOfSecret,
  keepIssuers,
  listIssuers,
  lockIssuer,
  updateIssuer,
} from "../../server/src/store/issuers.ts";
import {
  allLinkTokens,
  deleteLinkToken,
  getLinkToken,
  insertLinkToken,
  listLinkTokens,
  lockLinkToken,
  updateLinkToken,
} from "../../server/src/store/link-tokens.ts";
import {
  deleteLink,
  getLink,
  insertLink,
  linksOfIssuer,
  linksOfSecret,
  linksWithExpiredDebugKeys,
  listLinks,
  lockLink,
  setDebugKeys,
  updateLink,
} from "../../server/src/store/links.ts";
import {
  deleteProject,
  getProject,
  insertProject,
  listProjects,
  lockProject,
  updateProject,
} from "../../server/src/store/projects.ts";
import {
  deleteSecret,
  getSecret,
  insertSecret,
  keepSecrets,
  listSecrets,
  lockSecret,
  updateSecret,
} from "../../server/src/store/secrets.ts";
import { activeSigningKey, insertSigningKey, listSigningKeys } from "../../server/src/store/signing-keys.ts";
import type { Store } from "../../server/src/store/store.ts";
import { describeStores } from "../support/store.ts";
import {
  apiKeyRow,
  issuerRow,
  linkRow,
  linkSpec,
  linkTokenRow,
  makeProject,
  secretRow,
  signingKeyRow,
  TIME,
  unique,
} from "./rows.ts";

const LATER = new Date("2026-11-25T13:00:00.456Z");
const refusal = (code: string) => expect.objectContaining({ code });

describeStores("resources", (store) => {
  const inProject = <T>(fn: (tx: Parameters<Parameters<Store["transaction"]>[0]>[0], project: string) => Promise<T>) =>
    store().transaction(async (tx) => fn(tx, await makeProject(tx)));

  describe("a project", () => {
    test("comes back as written, and is changed only over the version read", async () => {
      const id = unique("project");
      const row = {
        id,
        displayName: "Ünïcode 'quoted' \\ name",
        issuer: "https://c.example/p/x",
        accessTokenLifetimeMs: 60_000,
        accessTokenLifetimeMaxMs: 120_000,
        sessionIdleLifetimeMs: 180_000,
        sessionAbsoluteLifetimeMs: 240_000,
        sessionCookies: { sameSite: "LAX", origins: ["https://app.example"], domain: "" } as const,
        createTime: TIME,
        updateTime: TIME,
      };
      const written = await store().transaction((tx) => insertProject(tx, row));
      expect(written).toEqual({ ...row, version: 1 });
      const ofSessions = { sessionIdleLifetimeMs: 3_000, sessionAbsoluteLifetimeMs: 4_000 };
      const lifetimes = { accessTokenLifetimeMs: 1_000, accessTokenLifetimeMaxMs: 2_000, ...ofSessions };
      const sessionCookies = { sameSite: "NONE", origins: [], domain: "c.example" } as const;
      const change = { id, version: 1, displayName: "New", ...lifetimes, sessionCookies, updateTime: LATER };
      const changed = await store().transaction((tx) => updateProject(tx, change));
      expect(changed).toEqual({ ...row, ...change, version: 2 });
      expect(await store().read((tx) => getProject(tx, id))).toEqual(changed);
      await expect(store().transaction((tx) => updateProject(tx, change))).rejects.toEqual(refusal("etag_mismatch"));
    });

    test("of a taken id is refused, and the transaction goes on", async () => {
      const other = unique("project");
      await inProject(async (tx, id) => {
        await expect(makeProject(tx, id)).rejects.toEqual(refusal("resource_exists"));
        await makeProject(tx, other);
      });
      expect(await store().read((tx) => getProject(tx, other))).toBeDefined();
    });

    test("with links cannot be deleted; without, it takes everything else with it", async () => {
      const [project, link] = await inProject(async (tx, id) => {
        await insertSecret(tx, secretRow(id, "s"));
        await insertIssuer(tx, issuerRow(id, "i"));
        await insertSigningKey(tx, signingKeyRow(id));
        await insertApiKey(tx, apiKeyRow(id, "k"));
        return [id, (await insertLink(tx, linkRow(id))).id];
      });
      const isRefused = store().transaction((tx) => deleteProject(tx, project));
      await expect(isRefused).rejects.toEqual(refusal("resource_in_use"));
      await store().transaction(async (tx) => {
        await lockProject(tx, project);
        await deleteLink(tx, project, link);
        await deleteProject(tx, project);
      });
      const left = await store().read(async (tx) => [
        await getProject(tx, project),
        await getSecret(tx, project, "s"),
        await getIssuer(tx, project, "i"),
        await activeSigningKey(tx, project),
        await getApiKey(tx, project, "k"),
      ]);
      expect(left.filter((row) => row !== undefined)).toEqual([]);
    });

    test("that is not there can hold nothing", async () => {
      const isRefused = store().transaction((tx) => insertSecret(tx, secretRow("nobody")));
      await expect(isRefused).rejects.toEqual(refusal("resource_not_found"));
    });

    test("is listed by id, page by page", async () => {
      const ids = ["a", "b", "c"].map((letter) => unique(`zz-list-${letter}`));
      await store().transaction(async (tx) => {
        for (const id of ids.toReversed()) await makeProject(tx, id);
      });
      const first = await store().read((tx) => listProjects(tx, "zz-list-", 2));
      const rest = await store().read((tx) => listProjects(tx, first[1]!.id, 2));
      expect([...first, ...rest].map(({ id }) => id)).toEqual(ids);
    });
  });

  describe("a link", () => {
    test("comes back as written, nested values included", async () => {
      await inProject(async (tx, project) => {
        const row = linkRow(project, unique("link"), {
          rules: [
            {
              effect: "ALLOW",
              methods: ["GET"],
              path: "/a/{jwt.sub}/*",
              query: { "a b": "\"'\\" },
              claims: [],
              message: "",
            },
          ],
        });
        const made = { ...row, debugKeys: [], version: 1 };
        expect(await insertLink(tx, row)).toEqual(made);
        expect(await getLink(tx, project, row.id)).toEqual(made);
        const next = { project, id: row.id, version: 1, spec: linkSpec({ state: "DISABLED" }), updateTime: LATER };
        expect(await updateLink(tx, next)).toEqual({ ...made, ...next, version: 2 });
        await expect(updateLink(tx, next)).rejects.toEqual(refusal("etag_mismatch"));
        expect(await lockLink(tx, project, row.id)).toMatchObject({ version: 2 });
        expect(await listLinks(tx, project, "", 10)).toHaveLength(1);
      });
    });

    test("keeps debug keys beside its version, and is found when one has expired", async () => {
      await inProject(async (tx, project) => {
        const { id, version } = await insertLink(tx, linkRow(project));
        const debugKeys = [{ id: "debug-a", keyHash: "ab".repeat(32), expireTimeMs: LATER.getTime() }];
        await setDebugKeys(tx, { project, id, debugKeys });
        expect(await getLink(tx, project, id)).toMatchObject({ debugKeys, version });
        const expiredAt = (ms: number) => linksWithExpiredDebugKeys(tx, new Date(ms), 1000);
        expect(await expiredAt(LATER.getTime() - 1)).not.toContainEqual({ project, id });
        expect(await expiredAt(LATER.getTime())).toContainEqual({ project, id });
      });
    });

    test("is found in its own project only", async () => {
      await inProject(async (tx, project) => {
        const { id } = await insertLink(tx, linkRow(project));
        const other = await makeProject(tx);
        expect(await getLink(tx, other, id)).toBeUndefined();
        await deleteLink(tx, other, id);
        expect(await getLink(tx, project, id)).toBeDefined();
      });
    });

    test("id is never used again, not even by another project after its deletion", async () => {
      const { project, id } = await inProject(async (tx, project) => insertLink(tx, linkRow(project)));
      await store().transaction((tx) => deleteLink(tx, project, id));
      const again = inProject((tx, other) => insertLink(tx, linkRow(other, id)));
      await expect(again).rejects.toEqual(refusal("resource_exists"));
    });

    test("is found by the issuer it trusts and by the secret it injects", async () => {
      await inProject(async (tx, project) => {
        const issuer = `projects/${project}/issuers/i`;
        const secret = `projects/${project}/secrets/s`;
        const { id } = await insertLink(
          tx,
          linkRow(project, unique("link"), {
            issuers: ["projects/x/issuers/other", issuer],
            injections: [
              { kind: "bearer", secret: "projects/x/secrets/other" },
              { kind: "bearer", secret },
            ],
          }),
        );
        await insertLink(tx, linkRow(project));
        expect(await linksOfIssuer(tx, project, issuer, 10)).toEqual([id]);
        expect(await linksOfSecret(tx, project, secret, 10)).toEqual([id]);
        expect(await linksOfSecret(tx, project, `${secret}2`, 10)).toEqual([]);
      });
    });
  });

  describe("a link token", () => {
    test("comes back as written, changes, and goes with its link", async () => {
      await inProject(async (tx, project) => {
        const { id: link } = await insertLink(tx, linkRow(project));
        const row = linkTokenRow(link);
        expect(await insertLinkToken(tx, row)).toEqual({ ...row, version: 1 });
        expect(await getLinkToken(tx, link, row.id)).toEqual({ ...row, version: 1 });
        const changed = await updateLinkToken(tx, {
          ...row,
          version: 1,
          allowedOrigins: [],
          expireTime: LATER,
          updateTime: LATER,
        });
        expect(changed).toEqual({ ...row, version: 2, allowedOrigins: [], expireTime: LATER, updateTime: LATER });
        expect(await lockLinkToken(tx, link, row.id)).toEqual(changed);
        expect(await listLinkTokens(tx, link, "", 10)).toEqual([changed]);
        await deleteLinkToken(tx, link, row.id);
        expect(await allLinkTokens(tx, link)).toEqual([]);
        await insertLinkToken(tx, row);
        await deleteLink(tx, project, link);
        expect(await allLinkTokens(tx, link)).toEqual([]);
      });
    });

    test("hash stands once in the installation", async () => {
      await inProject(async (tx, project) => {
        const { id: link } = await insertLink(tx, linkRow(project));
        const row = linkTokenRow(link);
        await insertLinkToken(tx, row);
        await expect(insertLinkToken(tx, { ...row, id: "other" })).rejects.toEqual(refusal("resource_exists"));
      });
    });
  });

  describe("a secret", () => {
    test("keeps its bytes exactly, and changes only over the version read", async () => {
      await inProject(async (tx, project) => {
        const row = { ...secretRow(project), sealedValue: Uint8Array.from({ length: 256 }, (_, byte) => byte) };
        expect(await insertSecret(tx, row)).toEqual({ ...row, version: 1 });
        expect(await getSecret(tx, project, row.id)).toEqual({ ...row, version: 1 });
        const { createTime: _, ...rest } = row;
        const change = { ...rest, version: 1, sealedNextValue: new Uint8Array([7]), nextValueVersion: 1 };
        expect(await updateSecret(tx, change)).toEqual({ ...row, ...change, version: 2 });
        await expect(updateSecret(tx, change)).rejects.toEqual(refusal("etag_mismatch"));
        expect(await lockSecret(tx, project, row.id)).toMatchObject({ version: 2 });
        expect(await listSecrets(tx, project, "", 10)).toHaveLength(1);
        await deleteSecret(tx, project, row.id);
        expect(await getSecret(tx, project, row.id)).toBeUndefined();
      });
    });

    test("is found by the issuers it keys; of several only those that exist are kept", async () => {
      await inProject(async (tx, project) => {
        const { id } = await insertSecret(tx, secretRow(project));
        const name = `projects/${project}/secrets/${id}`;
        const issuer = await insertIssuer(tx, issuerRow(project, unique("issuer"), name));
        await insertIssuer(tx, issuerRow(project));
        expect(await issuersOfSecret(tx, project, name, 10)).toEqual([issuer.id]);
        expect(await keepSecrets(tx, project, [id, "absent"])).toEqual([id]);
        expect(await keepSecrets(tx, project, [])).toEqual([]);
        expect(await keepIssuers(tx, project, [issuer.id, "absent"])).toEqual([issuer]);
      });
    });
  });

  describe("an issuer", () => {
    test("comes back as written and changes only over the version read", async () => {
      await inProject(async (tx, project) => {
        const row = issuerRow(project);
        expect(await insertIssuer(tx, row)).toEqual({ ...row, version: 1 });
        const change = { project, id: row.id, version: 1, spec: { ...row.spec, iss: "" }, updateTime: LATER };
        expect(await updateIssuer(tx, change)).toEqual({ ...row, ...change, version: 2 });
        await expect(updateIssuer(tx, change)).rejects.toEqual(refusal("etag_mismatch"));
        expect(await lockIssuer(tx, project, row.id)).toMatchObject({ version: 2 });
        expect(await listIssuers(tx, project, "", 10)).toHaveLength(1);
        await expect(insertIssuer(tx, row)).rejects.toEqual(refusal("resource_exists"));
        await deleteIssuer(tx, project, row.id);
        expect(await getIssuer(tx, project, row.id)).toBeUndefined();
      });
    });
  });

  describe("a signing key", () => {
    test("is the one active key of its project: a second one is refused", async () => {
      await inProject(async (tx, project) => {
        const active = await insertSigningKey(tx, signingKeyRow(project));
        const retired = await insertSigningKey(tx, signingKeyRow(project, "RETIRED"));
        await expect(insertSigningKey(tx, signingKeyRow(project))).rejects.toEqual(refusal("resource_exists"));
        expect(await activeSigningKey(tx, project)).toEqual(active);
        expect(await listSigningKeys(tx, project, ["RETIRED"])).toEqual([retired]);
        expect(await listSigningKeys(tx, project, ["ACTIVE", "RETIRED"])).toHaveLength(2);
      });
    });
  });
});
