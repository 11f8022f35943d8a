/** One finished request, as far as it is counted. */
export interface CountedRequest {
  /** Resource name of the link; "" = no such link. */
  readonly link: string;
  /** Subject of the user token; "" = none. */
  readonly subject: string;
  /** `ok`, or the code of the refusal. */
  readonly outcome: string;
  readonly status: number;
}

/** Requests of one minute, link, subject and outcome. */
export interface UsageIncrement extends Omit<CountedRequest, "status"> {
  /** Start of the minute: milliseconds since the epoch. */
  readonly minuteMs: number;
  /** Hundreds of the status. */
  readonly statusClass: number;
  readonly requests: number;
}

const MINUTE_MS = 60_000;
/** Rows of one batch, before those that are no longer told apart; `ReportUsageRequest.increments` takes 10,000. */
const ROWS_MAX = 9_900;
/** Beyond these rows subjects are counted together, as "": the sums stay right, and memory bounded. */
const SUBJECT_ROWS_MAX = 9_000;
/** A subject is a text its signer chose. */
const SUBJECT_MAX_LENGTH = 256;

interface Row extends Omit<UsageIncrement, "requests"> {
  requests: number;
}

/** Rows of one minute, link, outcome and status class, by subject. */
type Rows = Map<string, Row>;

/** Counts requests in per-minute rows until they are taken away to be reported. */
export class UsageCounter {
  /** Minute → link → outcome and status class → subject. Nested, because joined keys would cost more than the counting. */
  #byMinute = new Map<number, Map<string, Map<string, Rows[]>>>();
  #size = 0;

  /** @param nowMs wall clock: decides the minute */
  add({ link, subject, outcome, status }: CountedRequest, nowMs: number): void {
    const minuteMs = nowMs - (nowMs % MINUTE_MS);
    const statusClass = Math.floor(status / 100);
    const rows = this.#rowsOf(minuteMs, link, outcome, statusClass);
    const row = rows.get(subject);
    if (row !== undefined) row.requests += 1;
    else this.#addRow(rows, { minuteMs, link, subject, outcome, statusClass, requests: 1 });
  }

  /** Takes what was counted since the last time; undefined = nothing. */
  take(): readonly UsageIncrement[] | undefined {
    if (this.#size === 0) return undefined;
    const byOutcome = [...this.#byMinute.values()].flatMap((byLink) => [...byLink.values()]);
    const rows = byOutcome.flatMap((it) => [...it.values()].flat()).flatMap((it) => [...it.values()]);
    this.#byMinute = new Map();
    this.#size = 0;
    return rows;
  }

  #rowsOf(minuteMs: number, link: string, outcome: string, statusClass: number): Rows {
    const byLink = getOrAdd(this.#byMinute, minuteMs, () => new Map<string, Map<string, Rows[]>>());
    const byOutcome = getOrAdd(byLink, link, () => new Map<string, Rows[]>());
    const byStatus = getOrAdd(byOutcome, outcome, () => STATUS_CLASSES.map((): Rows => new Map()));
    return byStatus[statusClass] ?? (byStatus[0] as Rows);
  }

  #addRow(rows: Rows, row: Row): void {
    const isSubjectKept = this.#size < SUBJECT_ROWS_MAX && row.subject.length <= SUBJECT_MAX_LENGTH;
    if (row.subject !== "" && !isSubjectKept) {
      const shared = rows.get("");
      if (shared !== undefined) shared.requests += 1;
      else this.#addRow(rows, { ...row, subject: "" });
    } else if (this.#size < ROWS_MAX || (row.link === "" && row.outcome === "other")) {
      this.#size += 1;
      rows.set(row.subject, row);
    } else {
      // More links and outcomes in two seconds than one batch holds: counted, but no longer told apart.
      const { minuteMs, statusClass } = row;
      this.add({ link: "", subject: "", outcome: "other", status: statusClass * 100 }, minuteMs);
    }
  }
}

const STATUS_CLASSES = [0, 1, 2, 3, 4, 5];

function getOrAdd<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
