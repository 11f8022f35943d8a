import { expect, test } from "vitest";
import {
  deleteApiKey,
  findApiKeys,
  getApiKey,
  insertApiKey,
  listApiKeys,
  lockApiKey,
  updateApiKey,
} from "../../server/src/store/api-keys.ts";
import type { Store } from "../../server/src/store/store.ts";
import { describeStores } from "../support/store.ts";
import { apiKeyRow, makeProject } from "./rows.ts";

const LATER = new Date("2026-11-25T13:00:00.456Z");
const refusal = (code: string) => expect.objectContaining({ code });

describeStores("an API key", (store) => {
  const inProject = <T>(fn: (tx: Parameters<Parameters<Store["transaction"]>[0]>[0], project: string) => Promise<T>) =>
    store().transaction(async (tx) => fn(tx, await makeProject(tx)));

  test("is found by its hash, listed in its project or in the installation", async () => {
    await inProject(async (tx, project) => {
      const own = await insertApiKey(tx, apiKeyRow(project));
      const operator = await insertApiKey(tx, apiKeyRow(null));
      expect(await findApiKeys(tx, [own.keyHash, "0".repeat(64)])).toEqual([own]);
      expect(await findApiKeys(tx, ["0".repeat(64)])).toEqual([]);
      expect(await listApiKeys(tx, project, "", 10)).toEqual([own]);
      expect(await listApiKeys(tx, null, "", 100)).toContainEqual(operator);
      expect(await getApiKey(tx, null, own.id)).toBeUndefined();
      await expect(insertApiKey(tx, apiKeyRow(null, operator.id))).rejects.toEqual(refusal("resource_exists"));
      await insertApiKey(tx, apiKeyRow(project, operator.id));
      const limits = {
        expireTime: LATER,
        tokenLifetimeMaxMs: 60_000,
        allowedAddresses: ["192.0.2.0/24"],
        requestsPerMinute: 600,
      };
      const change = { project, id: own.id, version: 1, displayName: "New", ...limits, updateTime: LATER };
      expect(await updateApiKey(tx, change)).toEqual({ ...own, ...change, version: 2 });
      expect(await lockApiKey(tx, project, own.id)).toMatchObject({ version: 2 });
      await deleteApiKey(tx, project, own.id);
      expect(await findApiKeys(tx, [own.keyHash])).toEqual([]);
    });
  });
});
