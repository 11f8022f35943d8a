import { type Logger, pino } from "pino";

export type Log = Logger;

/** Keys whose values never reach the log, wherever they stand in a logged object. */
const REDACTED = ["authorization", "token", "secret", "credential", "key", "password", "cookie"];

/**
 * The process log, on stderr: stdout belongs to `conduit ready` and to commands' results.
 * @param format `json` one object a line; `text` the same for people.
 */
export function createLog(format: "json" | "text", level = "info"): Log {
  const redact = { paths: REDACTED.flatMap((key) => [key, `*.${key}`]), censor: "[secret]" };
  const options = { level, base: null, redact, timestamp: pino.stdTimeFunctions.isoTime };
  if (format === "json") return pino(options, pino.destination({ fd: 2, sync: true }));
  return pino(options, { write: (line: string) => process.stderr.write(toText(line)) });
}

/** `12:00:00 level message key=value …` */
function toText(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const name = pino.levels.labels[Number(level)] ?? "info";
  const fields = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const cause = err === undefined ? [] : [`error=${JSON.stringify((err as { message?: string }).message)}`];
  return `${[String(time).slice(11, 19), name, msg, ...fields, ...cause].join(" ")}\n`;
}
