import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { ExitError } from "../../server/src/model/exit.ts";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { systemRandom } from "../../server/src/random.ts";
import { open, type SealedPlace, seal } from "../../server/src/sealing/envelope.ts";
import { openForProxy, sealForFleet } from "../../server/src/sealing/fleet-key.ts";
import { createKeyring, dataKeyIdOf, type Keyring } from "../../server/src/sealing/keyring.ts";
import { parseMasterKeys } from "../../server/src/sealing/master-keys.ts";
import { SealingError } from "../../server/src/sealing/sealing-error.ts";
import { generateSealingKey, keyBytes, sealingKey } from "../../server/src/sealing/sealing-key.ts";
import { openSnapshot, sealSnapshot, snapshotKey } from "../../server/src/sealing/snapshot-key.ts";

const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));
const SECRET = "sk_live_canary-9d1e";
const PLACE: SealedPlace = { table: "secrets", column: "sealed_value", project: "acme", row: "api-key", version: 1 };
const masterKeys = (count = 1) =>
  parseMasterKeys(
    new SecretText(
      Array.from({ length: count }, () => Buffer.from(systemRandom.bytes(32)).toString("base64")).join(","),
    ),
  );
const faultOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof SealingError) return error.fault;
    throw error;
  }
  return "opened";
};

describe("an envelope", () => {
  const key = generateSealingKey(systemRandom);
  const sealed = seal(key, text(SECRET), ["a", "b", 1], systemRandom);

  test("opens to what was sealed, the empty value too", () => {
    expect(open(key, sealed, ["a", "b", 1])).toEqual(text(SECRET));
    expect(open(key, seal(key, text(""), ["x"], systemRandom), ["x"])).toEqual(text(""));
  });

  test("never looks the same twice, and shows nothing of its value", () => {
    const other = seal(key, text(SECRET), ["a", "b", 1], systemRandom);
    expect(other).not.toEqual(sealed);
    expect(Buffer.from(sealed).includes(SECRET)).toBe(false);
  });

  test("with any one bit flipped does not open", () => {
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = sealed.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(faultOf(() => open(key, changed, ["a", "b", 1]))).not.toBe("opened");
    }
  });

  test("cut, or followed by more, does not open", () => {
    for (let length = 0; length < sealed.length; length += 1)
      expect(faultOf(() => open(key, sealed.slice(0, length), ["a", "b", 1]))).not.toBe("opened");
    expect(faultOf(() => open(key, new Uint8Array([...sealed, 0]), ["a", "b", 1]))).toBe("does_not_open");
  });

  test.each([[["a", "b", 2]], [["a", "b"]], [["a,b", 1]], [["a", "b", "1"]], [["b", "a", 1]], [[]]])(
    "does not open bound to %j",
    (binding) => expect(faultOf(() => open(key, sealed, binding))).toBe("does_not_open"),
  );

  test("of another key says so", () => {
    expect(faultOf(() => open(generateSealingKey(systemRandom), sealed, ["a", "b", 1]))).toBe("key_unknown");
  });
});

describe("a keyring", () => {
  const masters = masterKeys();
  const keyring = createKeyring(masters, systemRandom);
  const acme = keyring.createDataKey("acme");
  const sealed = keyring.seal(acme, text(SECRET), PLACE);

  test("opens what it sealed, also after a restart", () => {
    expect(keyring.open(acme, sealed, PLACE)).toEqual(text(SECRET));
    expect(createKeyring(masters, systemRandom).open(acme, sealed, PLACE)).toEqual(text(SECRET));
    expect(dataKeyIdOf(sealed)).toBe(acme.id);
  });

  test.each([
    ["another row", { row: "other-key" }],
    ["another column", { column: "sealed_next_value" }],
    ["another table", { table: "signing_keys" }],
    ["another project", { project: "evil" }],
    ["an older version of the row", { version: 2 }],
  ])("does not open a value moved to %s", (_where, change) => {
    expect(faultOf(() => keyring.open(acme, sealed, { ...PLACE, ...change }))).toBe("does_not_open");
  });

  test("does not open a project's value with another project's key, nor with that key renamed", () => {
    const evil = keyring.createDataKey("evil");
    const place = { ...PLACE, project: "evil" };
    expect(faultOf(() => keyring.open(evil, sealed, place))).toBe("key_unknown");
    for (const forged of [
      { ...acme, project: "evil" },
      { ...evil, id: acme.id },
      { ...evil, wrappedKey: acme.wrappedKey },
    ])
      expect(faultOf(() => createKeyring(masters, systemRandom).open(forged, sealed, place))).toBe("does_not_open");
  });

  test("does not seal a value of one project under another's key", () => {
    expect(() => keyring.seal(acme, text(SECRET), { ...PLACE, project: "evil" })).toThrow(TypeError);
  });

  test("opens under every master key it holds and seals under the first", () => {
    const [second] = masterKeys();
    const rotated = createKeyring([second, ...masters], systemRandom);
    expect(rotated.open(acme, sealed, PLACE)).toEqual(text(SECRET));
    expect(rotated.createDataKey("acme").masterKeyId).toBe(second.id);
    const without = createKeyring([second], systemRandom);
    expect(faultOf(() => without.open(acme, sealed, PLACE))).toBe("key_unknown");
  });

  test("and its keys print and serialise without a key", () => {
    const bytes = keyBytes(masters[0]);
    const printed = [keyring, masters, acme].map(
      (value) => `${inspect(value, { depth: 9, showHidden: true })}${JSON.stringify(value)}`,
    );
    for (const form of ["hex", "base64"] as const)
      expect(printed.join("")).not.toContain(Buffer.from(bytes).toString(form));
  });

  test("takes thousands of projects without trouble", () => {
    const busy: Keyring = createKeyring(masters, systemRandom);
    const keys = Array.from({ length: 10_050 }, (_, index) => busy.createDataKey(`p${index}`));
    for (const key of [...keys, keys[0]!]) busy.seal(key, text("x"), { ...PLACE, project: key.project });
  }, 30_000);
});

describe("master keys", () => {
  const good = Buffer.alloc(32, "0123456789abcdef").toString("base64");
  const short = Buffer.alloc(31, "0123456789abcdef").toString("base64");

  test("are read from base64 in any spelling, one or several", () => {
    expect(parseMasterKeys(new SecretText(`${good}\n`))).toHaveLength(1);
    expect(
      parseMasterKeys(new SecretText(`${good.replace("=", "")}, ${Buffer.alloc(32, "x1").toString("base64url")}`)),
    ).toHaveLength(2);
  });

  test.each([
    ["", "is empty"],
    [" , ", "is empty"],
    [short, "key 1 has 31 bytes instead of 32"],
    [`${good},${short}`, "key 2 has 31 bytes instead of 32"],
    [`${good.slice(0, 20)}!${good.slice(21)}`, "key 1 is not base64"],
    [`${good},${good}`, "holds the same key twice"],
  ])("%# that are wrong are refused without showing them", (given, said) => {
    const act = () => parseMasterKeys(new SecretText(given), "MY_KEY");
    expect(act).toThrow(ExitError);
    expect(act).toThrow(`MY_KEY: ${said}`);
    try {
      act();
    } catch (error) {
      if (given.length > 10) expect(inspect(error)).not.toContain(given.slice(0, 10));
    }
  });

  test("have an id that tells keys apart and is not part of the key", () => {
    const [key] = parseMasterKeys(new SecretText(good));
    expect(key.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(Buffer.from(keyBytes(key)).toString("hex")).not.toContain(key.id.slice(0, 8));
    expect(sealingKey(keyBytes(key)).id).toBe(key.id);
  });
});

describe("the fleet key", () => {
  const fleetKey = generateSealingKey(systemRandom);
  const place = { resource: "projects/acme/secrets/s", value: "value" } as const;
  const sealed = sealForFleet(fleetKey, new SecretText(`${SECRET} ü`), place, systemRandom);

  test("opens a secret at the proxy that got the key", () => {
    expect(openForProxy(sealingKey(keyBytes(fleetKey)), sealed, place).reveal()).toBe(`${SECRET} ü`);
  });

  test("does not open one secret in place of another", () => {
    expect(faultOf(() => openForProxy(fleetKey, sealed, { ...place, value: "next_value" }))).toBe("does_not_open");
    expect(faultOf(() => openForProxy(fleetKey, sealed, { ...place, resource: "projects/evil/secrets/s" }))).toBe(
      "does_not_open",
    );
    expect(faultOf(() => openForProxy(generateSealingKey(systemRandom), sealed, place))).toBe("key_unknown");
  });
});

describe("a part of a proxy's snapshot", () => {
  const key = snapshotKey(new SecretText("cl_prx_one"));
  const place = { file: "0123", part: 3 };
  const sealed = sealSnapshot(key, text(SECRET), place, systemRandom);

  test("opens with the credential it was sealed with, and with no other", () => {
    expect(openSnapshot(snapshotKey(new SecretText("cl_prx_one")), sealed, place)).toEqual(text(SECRET));
    expect(faultOf(() => openSnapshot(snapshotKey(new SecretText("cl_prx_two")), sealed, place))).toBe("key_unknown");
    expect(faultOf(() => openSnapshot(key, sealed.slice(0, 10), place))).toBe("malformed");
  });

  test("opens where it was put, and nowhere else", () => {
    expect(faultOf(() => openSnapshot(key, sealed, { ...place, part: 4 }))).toBe("does_not_open");
    expect(faultOf(() => openSnapshot(key, sealed, { ...place, file: "0124" }))).toBe("does_not_open");
  });
});
