import { ConduitError } from "../model/errors.ts";

/** Both ways between a proto enum's numbers and the model's words. */
export interface EnumTable<Word extends string, Value extends number> {
  toProto(word: Word): Value;
  /** Throws `field_invalid` on a number that has no word: a value from a newer version must not become a default. */
  fromProto(value: number, unspecified: Word): Word;
}

/**
 * @param name for the error text, as in `link_token_mode`
 * @param rows the number of every word; 0 (UNSPECIFIED) has none, its meaning is given at each use
 */
export function enumTable<Word extends string, Value extends number>(
  name: string,
  rows: Readonly<Record<Word, Value>>,
): EnumTable<Word, Value> {
  const words = new Map<number, Word>(Object.entries<Value>(rows).map(([word, value]) => [value, word as Word]));
  return {
    toProto: (word) => rows[word],
    fromProto(value, unspecified) {
      const word = value === 0 ? unspecified : words.get(value);
      if (word === undefined) throw new ConduitError("field_invalid", { detail: `${name} has an unknown value` });
      return word;
    },
  };
}
