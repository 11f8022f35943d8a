/** Exit codes of the `conduit` command (contract.md 11). */
export const EXIT = {
  /** Done, or drained by SIGINT or SIGTERM. */
  done: 0,
  failed: 1,
  /** Wrong usage or a wrong setting. */
  usage: 2,
  /** The environment refuses: Node, port in use, data directory in use or newer, key missing. */
  environment: 3,
  /** The API refused. */
  refused: 4,
  /** Unreachable or timed out. */
  unreachable: 5,
  /** Second Ctrl-C. */
  interrupted: 130,
} as const;

/** Ends the process with a code and one clear line; its text says what to do and carries no secret. */
export class ExitError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ExitError";
    this.exitCode = exitCode;
  }
}

/** A wrong flag or environment variable: names it, says what it must be, never shows a secret value. */
export const wrongSetting = (message: string): ExitError => new ExitError(EXIT.usage, message);

/** Something about the machine keeps us from starting. */
export const refusedByEnvironment = (message: string, cause?: unknown): ExitError =>
  new ExitError(EXIT.environment, message, cause === undefined ? undefined : { cause });
