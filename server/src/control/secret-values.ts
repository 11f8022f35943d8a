import type { ConfigChange } from "../model/config-resource.ts";
import { secretName } from "../model/resource-name.ts";
import { SecretText } from "../model/secret-text.ts";
import { sealForFleet } from "../sealing/fleet-key.ts";
import { dataKeyIdOf } from "../sealing/keyring.ts";
import { currentDataKey, type DataKeyRow, getDataKey } from "../store/data-keys.ts";
import type { Reader, Tx } from "../store/database.ts";
import type { SecretRow } from "../store/secrets.ts";
import type { Deps } from "./deps.ts";

/** A secret's values in the open: inside one call, and only to check or to seal them. */
export interface SecretValues {
  readonly value: SecretText;
  readonly nextValue?: SecretText;
}

/** The columns of a secret's row that hold values, and the version each is sealed for. */
type ValueColumns = Pick<SecretRow, "sealedValue" | "valueVersion" | "sealedNextValue" | "nextValueVersion">;

const VALUE_COLUMN = "sealed_value";
const NEXT_VALUE_COLUMN = "sealed_next_value";

/** Each value is sealed for its own place: who can write the database cannot move one into another's row. */
const placeOf = (project: string, id: string, column: string, version: number) => ({
  table: "secrets",
  column,
  project,
  row: id,
  version,
});

/** The key that seals new values of a project. @throws TypeError when it has none: every project is made with one */
export async function sealingKeyOf(tx: Tx, project: string): Promise<DataKeyRow> {
  const key = await currentDataKey(tx, project);
  if (key === undefined) throw new TypeError("the project has no data key");
  return key;
}

/**
 * Seals what is new among the values for a row.
 * @param before the row's columns, whose versions grow with each new value; undefined for a new row
 * @param nextValue undefined = leave it as it is, null = take it away
 */
export function sealValues(
  deps: Deps,
  key: DataKeyRow,
  at: { readonly project: string; readonly id: string },
  before: ValueColumns | undefined,
  { value, nextValue }: { readonly value?: SecretText; readonly nextValue?: SecretText | null },
): Partial<ValueColumns> {
  const sealed = (text: SecretText, column: string, version: number): Uint8Array =>
    deps.keyring.seal(key, Buffer.from(text.reveal()), placeOf(at.project, at.id, column, version));
  const valueVersion = (before?.valueVersion ?? 0) + 1;
  const nextValueVersion = (before?.nextValueVersion ?? 0) + 1;
  return {
    ...(value && { sealedValue: sealed(value, VALUE_COLUMN, valueVersion), valueVersion }),
    ...(nextValue && { sealedNextValue: sealed(nextValue, NEXT_VALUE_COLUMN, nextValueVersion), nextValueVersion }),
    ...(nextValue === null && { sealedNextValue: null }),
  };
}

/** Opens the values of a row. */
export async function openValues(deps: Deps, reader: Reader, row: SecretRow): Promise<SecretValues> {
  const { project, id } = row;
  const opened = async (sealed: Uint8Array, column: string, version: number): Promise<SecretText> => {
    const key = await getDataKey(reader, dataKeyIdOf(sealed));
    if (key === undefined) throw new TypeError("the data key of a secret is gone");
    const bytes = deps.keyring.open(key, sealed, placeOf(project, id, column, version));
    const text = new SecretText(Buffer.from(bytes).toString());
    bytes.fill(0);
    return text;
  };
  const value = await opened(row.sealedValue, VALUE_COLUMN, row.valueVersion);
  if (row.sealedNextValue === null) return { value };
  return { value, nextValue: await opened(row.sealedNextValue, NEXT_VALUE_COLUMN, row.nextValueVersion) };
}

/** What the proxies get: the values under the fleet key of this transaction. */
export async function secretChange(
  deps: Deps,
  tx: Tx,
  project: string,
  id: string,
  { value, nextValue }: SecretValues,
): Promise<ConfigChange> {
  const fleetKey = await deps.fleet.keyForWriting(tx);
  const resource = secretName(project, id);
  const sealedFor = (text: SecretText, which: "value" | "next_value"): Uint8Array =>
    sealForFleet(fleetKey, text, { resource, value: which }, deps.random);
  const sealedValue = sealedFor(value, "value");
  const next = nextValue && { sealedNextValue: sealedFor(nextValue, "next_value") };
  return { op: "upsert", resource: { kind: "secret", name: resource, sealedValue, ...next } };
}
