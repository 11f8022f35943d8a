/** Where a command prints; `run` and tests pass their own. */
export interface Output {
  /** Results: standard output. */
  out(text: string): void;
  /** Everything said beside the result: standard error. */
  err(text: string): void;
}

/** The process's own streams. */
export const processOutput: Output = {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
};

/** Prints a result: as one JSON object with `--json`, else as lines `name  value`. */
export function printResult(output: Output, result: Readonly<Record<string, unknown>>, asJson: boolean): void {
  if (asJson) {
    output.out(JSON.stringify(result));
    return;
  }
  const width = Math.max(...Object.keys(result).map((name) => name.length));
  for (const [name, value] of Object.entries(result)) output.out(`${name.padEnd(width)}  ${String(value)}`);
}

/** Prints rows under their column names, or as JSON. */
export function printTable(
  output: Output,
  columns: readonly string[],
  rows: ReadonlyArray<Readonly<Record<string, unknown>>>,
  asJson: boolean,
): void {
  if (asJson) {
    output.out(JSON.stringify(rows));
    return;
  }
  const cells = [
    columns.map((name) => name.toUpperCase()),
    ...rows.map((row) => columns.map((name) => String(row[name] ?? ""))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  for (const row of cells)
    output.out(
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    );
}
