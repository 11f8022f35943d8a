/** One event of a stream. */
export interface ServerEvent {
  /** `message` unless the stream says otherwise. */
  readonly type: string;
  readonly data: string;
  /** Of this event or the last one before it that had any. */
  readonly lastEventId: string;
}

/** What a piece of a stream turned out to hold, in order. */
export type StreamItem = { readonly event: ServerEvent } | { readonly comment: string } | { readonly retryMs: number };

/** Reads an event stream piece by piece, cut anywhere. */
export interface EventParser {
  /** Throws `RangeError` when one event is longer than allowed. */
  push(text: string): StreamItem[];
  /** The last id seen at the end of an event, to go on from. */
  readonly lastEventId: string;
}

/**
 * The parser of the HTML standard's `text/event-stream` (9.2.6): lines end with CR, LF or CRLF, `data` lines are joined, an id with NUL is none,
 * `retry` is digits only, an event without data is none, one that the stream breaks off is dropped. The byte order mark is the decoder's
 * business. @param maxChars bounds what is kept of one event, so that a stream without line ends cannot fill the memory
 */
export function createEventParser(lastEventId: string, maxChars: number): EventParser {
  let rest = "";
  let endsInCr = false;
  let event = { type: "", data: "", id: lastEventId };
  let confirmedId = lastEventId;

  const readLine = (line: string, items: StreamItem[]) => {
    if (line === "") {
      confirmedId = event.id;
      const { type, data } = event;
      if (data) items.push({ event: { type: type || "message", data: data.slice(0, -1), lastEventId: confirmedId } });
      event = { type: "", data: "", id: confirmedId };
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (colon === 0) items.push({ comment: value });
    else if (name === "data") event.data += `${value}\n`;
    else if (name === "event") event.type = value;
    else if (name === "id" && !value.includes("\0")) event.id = value;
    else if (name === "retry" && /^\d+$/.test(value)) items.push({ retryMs: Number(value) });
  };

  return {
    get lastEventId() {
      return confirmedId;
    },
    push(text) {
      const items: StreamItem[] = [];
      // A line that ended with the CR at the end of the last piece does not end once more with this LF.
      const lines = (endsInCr ? text.replace(/^\n/, "") : text).split(/\r\n|[\r\n]/);
      if (text) endsInCr = text.endsWith("\r");
      lines[0] = rest + lines[0];
      rest = lines.pop() ?? "";
      for (const line of lines) {
        readLine(line, items);
        if (event.data.length > maxChars) break;
      }
      if (rest.length + event.data.length > maxChars)
        throw new RangeError(`An event of more than ${maxChars} characters`);
      return items;
    },
  };
}
