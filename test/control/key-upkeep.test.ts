import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { getTableColumns, getTableName, is } from "drizzle-orm";
import { PgTable } from "drizzle-orm/pg-core";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../server/src/clock.ts";
import { openFleet } from "../../server/src/config-log/fleet.ts";
import { masterKeyUses, rewrapDataKeys, rotateDataKey } from "../../server/src/control/key-upkeep.ts";
import { ExitError } from "../../server/src/model/exit.ts";
import { systemRandom } from "../../server/src/random.ts";
import { createKeyring, type Keyring } from "../../server/src/sealing/keyring.ts";
import type { MasterKeys } from "../../server/src/sealing/master-keys.ts";
import { generateSealingKey } from "../../server/src/sealing/sealing-key.ts";
import { currentDataKey, insertDataKey } from "../../server/src/store/data-keys.ts";
import * as schema from "../../server/src/store/schema.ts";
import * as tokens from "../../server/src/store/schema-tokens.ts";
import { SEALED_COLUMNS } from "../../server/src/store/sealed-columns.ts";
import type { Store } from "../../server/src/store/store.ts";
import { describeStores } from "../support/store.ts";
import { makeLink, startControlPlane } from "./control-plane.ts";

const effects = { clock: systemClock, random: systemRandom, version: "0.0.0-test" };
const ring = (...keys: MasterKeys): Keyring => createKeyring(keys, systemRandom);

/** Data keys of the installation, so that there is more than one batch. */
async function addDataKeys(store: Store, keyring: Keyring, count: number): Promise<void> {
  await store.transaction(async (tx) => {
    for (let made = 0; made < count; made += 1) await insertDataKey(tx, keyring.createDataKey(""), new Date());
  });
}

describeStores("rewrapping", (store) => {
  it("wraps every data key by the first master key; stopped in the middle nothing is lost, and it goes on", async () => {
    const [old, fresh] = [generateSealingKey(systemRandom), generateSealingKey(systemRandom)];
    await openFleet(store(), { ...effects, keyring: ring(old) });
    await addDataKeys(store(), ring(old), 250);
    const keyring = ring(fresh, old);
    const upkeep = { store: store(), keyring, clock: systemClock };
    const stop = new Error("stopped");
    const stopped = rewrapDataKeys(upkeep, () => {
      throw stop;
    });
    await expect(stopped).rejects.toBe(stop);
    const dataKeys = async () => (await masterKeyUses(upkeep)).map((use) => [use.masterKeyId, use.dataKeys]);
    expect(await dataKeys()).toEqual([
      [fresh.id, 100],
      [old.id, 151],
    ]);
    const { fleetKey } = await openFleet(store(), { ...effects, keyring });

    await expect(openFleet(store(), { ...effects, keyring: ring(fresh) })).rejects.toSatisfy(
      (error) => error instanceof ExitError && error.exitCode === 3 && error.message.includes(old.id),
    );
    const told: number[] = [];
    expect(await rewrapDataKeys(upkeep, (done) => told.push(done))).toBe(151);
    expect(told).toEqual([100, 151]);
    expect(await dataKeys()).toEqual([
      [fresh.id, 251],
      [old.id, 0],
    ]);
    expect((await openFleet(store(), { ...effects, keyring: ring(fresh) })).fleetKey.id).toBe(fleetKey.id);
    expect(await rewrapDataKeys(upkeep, () => undefined)).toBe(0);
  });

  it("leaves data keys alone whose master key was not given", async () => {
    const [first] = (await masterKeyUses({ store: store(), keyring: ring(generateSealingKey(systemRandom)) })).slice(1);
    const stranger = ring(generateSealingKey(systemRandom));
    expect(await rewrapDataKeys({ store: store(), keyring: stranger, clock: systemClock }, () => undefined)).toBe(0);
    expect((await masterKeyUses({ store: store(), keyring: stranger }))[1]).toEqual({ ...first, standing: "missing" });
  });
});

describe("a new data key", () => {
  it("seals all values of the project anew, which open as before; a stop in the middle loses nothing", async () => {
    await using plane = await startControlPlane();
    const { name: parent } = await plane.makeProject("demo");
    const link = await makeLink(plane, parent);
    const secrets = plane.client(SecretService);
    for (let index = 0; index < 105; index += 1)
      await secrets.createSecret({
        parent,
        secretId: `secret-${index}`,
        secret: { value: `v${index}`.padEnd(40, "x") },
      });
    await secrets.updateSecret({ secret: { name: `${parent}/secrets/secret-0`, nextValue: "n".repeat(40) } });
    const upkeep = { store: plane.store, keyring: plane.keyring, clock: plane.clock };
    const stop = new Error("stopped");
    const stopped = rotateDataKey(upkeep, "demo", () => {
      throw stop;
    });
    await expect(stopped).rejects.toBe(stop);
    await secrets.updateSecret({ secret: { name: `${parent}/secrets/secret-1`, value: "changed".padEnd(40, "x") } });
    expect(await rotateDataKey(upkeep, "demo", () => undefined)).toBe(107);

    const current = await plane.store.read((reader) => currentDataKey(reader, "demo"));
    const hex = current!.id.replaceAll("-", "");
    const rows = await plane.store.read((reader) => reader.select().from(schema.secrets));
    for (const row of rows) expect(Buffer.from(row.sealedValue).toString("hex").slice(4, 36)).toBe(hex);
    await secrets.updateSecret({ secret: { name: `${parent}/secrets/secret-0`, nextValue: "m".repeat(40) } });
    await plane.client(TokenService).mintToken({ parent, subject: "u", links: [link] });
    expect(await rotateDataKey(upkeep, "", () => undefined)).toBe(2);
    await openFleet(plane.store, { ...effects, keyring: plane.keyring });
  }, 60_000);
});

it("every sealed column of the schema is sealed anew with its key", () => {
  const sealed = Object.values<unknown>({ ...schema, ...tokens }).flatMap((table) =>
    is(table, PgTable)
      ? Object.values(getTableColumns(table))
          .filter(({ name }) => name.startsWith("sealed_"))
          .map(({ name }) => `${getTableName(table)}.${name}`)
      : [],
  );
  expect(SEALED_COLUMNS.map(({ table, column }) => `${table}.${column}`).sort()).toEqual(sealed.sort());
});
