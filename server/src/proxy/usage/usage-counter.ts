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
/** Rows of one batch; `ReportUsageRequest.increments` takes no more. */
const ROWS_MAX = 10_000;
/** Beyond these rows subjects are counted together, as "": the sums stay right, and memory bounded. */
const SUBJECT_ROWS_MAX = 9_000;
/** A subject is a text its signer chose. */
const SUBJECT_MAX_LENGTH = 256;

interface Row {
  readonly minuteMs: number;
  readonly link: string;
  readonly subject: string;
  readonly outcome: string;
  readonly statusClass: number;
  requests: number;
}

/** Counts requests in per-minute rows until they are taken away to be reported. */
export class UsageCounter {
  #rows = new Map<string, Row>();

  /** @param nowMs wall clock: decides the minute */
  add({ link, subject, outcome, status }: CountedRequest, nowMs: number): void {
    const minuteMs = nowMs - (nowMs % MINUTE_MS);
    const statusClass = Math.floor(status / 100);
    const isSubjectKept = this.#rows.size < SUBJECT_ROWS_MAX && subject.length <= SUBJECT_MAX_LENGTH;
    this.#count({ minuteMs, link, subject: isSubjectKept ? subject : "", outcome, statusClass });
  }

  /** Takes what was counted since the last time; undefined = nothing. */
  take(): readonly UsageIncrement[] | undefined {
    if (this.#rows.size === 0) return undefined;
    const rows = [...this.#rows.values()];
    this.#rows = new Map();
    return rows;
  }

  #count(counted: Omit<Row, "requests">): void {
    const { minuteMs, link, outcome, statusClass, subject } = counted;
    const key = `${minuteMs}\n${link}\n${outcome}\n${statusClass}\n${subject}`;
    const row = this.#rows.get(key);
    if (row !== undefined) row.requests += 1;
    else if (this.#rows.size < ROWS_MAX) this.#rows.set(key, { ...counted, requests: 1 });
    else if (link !== "" || outcome !== "other") {
      // More links and outcomes in two seconds than one batch holds: counted, but no longer told apart.
      this.#count({ minuteMs, link: "", subject: "", outcome: "other", statusClass });
    }
  }
}
