import { ZxcvbnFactory } from "@zxcvbn-ts/core";
import { adjacencyGraphs, dictionary as common } from "@zxcvbn-ts/language-common";
import { dictionary as english } from "@zxcvbn-ts/language-en";

/** Longer texts are judged by their beginning: the estimate takes the square of the length. */
const JUDGED_LENGTH = 128;

/**
 * A secret passes when it takes this many decimal digits of guesses (110 bits), or when it is nearly as strong as a random
 * text of its length. Measured: 32 random hexadecimal digits have a share of at least 0.90, 32 random base64 characters
 * 0.95, and a few words before them do not spoil it; sentences of 35-45 characters have 0.60-0.86 and 25-32 digits.
 */
const DIGITS_ENOUGH = 33;
const RANDOM_SHARE_MIN = 0.88;

/** Names and calendar words are left out: they cost five times the time and change no verdict on 32 bytes. */
const DICTIONARIES = {
  "passwords-common": common["passwords-common"],
  "commonWords-en": english["commonWords-en"],
  "wikipedia-en": english["wikipedia-en"],
};

const estimator = new ZxcvbnFactory({
  dictionary: DICTIONARIES,
  graphs: adjacencyGraphs,
  l33tMaxSubstitutions: 5,
  maxLength: JUDGED_LENGTH,
});

/** Whether a text is made of words, names, keyboard runs, repeats and the like (zxcvbn, Wheeler 2016), not at random. */
export function isGuessable(text: string): boolean {
  const { guessesLog10 } = estimator.check(text.slice(0, JUDGED_LENGTH));
  return guessesLog10 < DIGITS_ENOUGH && guessesLog10 < RANDOM_SHARE_MIN * Math.min(text.length, JUDGED_LENGTH);
}
