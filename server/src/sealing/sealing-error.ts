/** Why a sealed value stays closed. */
export type SealingFault =
  /** It is sealed under a key we do not hold. */
  | "key_unknown"
  /** It was changed, cut, or belongs to another place: another row, column, project or version. */
  | "does_not_open"
  /** It is not a sealed value. */
  | "malformed";

const TEXTS: Readonly<Record<SealingFault, string>> = {
  key_unknown: "a sealed value is sealed under a key that was not given",
  does_not_open: "a sealed value does not open: it was changed or belongs elsewhere",
  malformed: "these bytes are no sealed value of this version",
};

/** A sealed value that cannot be opened. Says why and which key is meant; never what was tried to open it. */
export class SealingError extends Error {
  readonly fault: SealingFault;

  constructor(fault: SealingFault, keyId?: string) {
    super(keyId === undefined ? TEXTS[fault] : `${TEXTS[fault]} (key ${keyId})`);
    this.name = "SealingError";
    this.fault = fault;
  }
}
