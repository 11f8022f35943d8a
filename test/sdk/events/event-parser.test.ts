import fc from "fast-check";
import { expect, test } from "vitest";
import { createEventParser, type ServerEvent, type StreamItem } from "../../../sdk/src/events/index.ts";

const itemsOf = (pieces: readonly string[], lastEventId = ""): StreamItem[] => {
  const parser = createEventParser(lastEventId, 1_000);
  return pieces.flatMap((piece) => parser.push(piece));
};
const eventsOf = (text: string, lastEventId = ""): ServerEvent[] =>
  itemsOf([text], lastEventId).flatMap((item) => ("event" in item ? [item.event] : []));
const message = (data: string, lastEventId = ""): ServerEvent => ({ type: "message", data, lastEventId });

// The examples of the HTML standard, 9.2.6, and its rules one by one.
test.each<[string, string, ServerEvent[]]>([
  ["lines of data are joined", "data: YHOO\ndata: +2\ndata: 10\n\n", [message("YHOO\n+2\n10")]],
  [
    "comments, ids, and an id that is reset",
    ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    [message("first event", "1"), message("second event"), message(" third event")],
  ],
  ["an event that the stream breaks off is dropped", "data\n\ndata\ndata\n\ndata:", [message(""), message("\n")]],
  ["one space after the colon is no data", "data:test\n\ndata: test\n\n", [message("test"), message("test")]],
  ["a type", "event: add\ndata: 1\n\ndata: 2\n\n", [{ type: "add", data: "1", lastEventId: "" }, message("2")]],
  ["no data, no event, and no type left over", "event: add\n\ndata: 1\n\n", [message("1")]],
  ["an id without data counts for what follows", "id: 7\n\ndata: 1\n\n", [message("1", "7")]],
  ["an id with NUL is none", "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [message("a", "1"), message("b", "1")]],
  ["unknown fields and odd spaces are nothing", " data: x\nfoo: y\ndata : z\nDATA: x\n\n", []],
  ["a line may hold further colons", "data: a: b\n\n", [message("a: b")]],
])("%s", (_name, text, events) => {
  for (const ending of ["\n", "\r", "\r\n"]) {
    expect(eventsOf(text.replaceAll("\n", ending)), JSON.stringify(ending)).toEqual(events);
  }
});

test("retry is digits only", () => {
  expect(itemsOf(["retry: 100\nretry: 1x\nretry:\nretry: -1\nretry: 1.5\n"])).toEqual([{ retryMs: 100 }]);
});

test("the last id of an earlier connection stays until there is a new one", () => {
  expect(eventsOf("data: a\n\nid: 9\ndata: b\n\n", "8")).toEqual([message("a", "8"), message("b", "9")]);
});

test("an id counts only when its event has ended", () => {
  const parser = createEventParser("1", 1_000);
  parser.push("id: 2\ndata: x\n");
  expect(parser.lastEventId).toBe("1");
  parser.push("\n");
  expect(parser.lastEventId).toBe("2");
});

test("it does not matter where a stream is cut", () => {
  const line = fc.constantFrom(
    "data: a",
    "data",
    ": comment",
    "id: 1",
    "id",
    "event: e",
    "retry: 5",
    "",
    "",
    "data: \u{1f98a}",
  );
  const stream = fc.array(fc.tuple(line, fc.constantFrom("\n", "\r", "\r\n")), { maxLength: 30 });
  fc.assert(
    fc.property(stream, fc.array(fc.nat(8), { maxLength: 200 }), (lines, sizes) => {
      const text = lines.flat().join("");
      const pieces: string[] = [];
      let at = 0;
      for (const size of sizes) {
        pieces.push(text.slice(at, at + size));
        at += size;
      }
      expect(itemsOf([...pieces, text.slice(at)])).toEqual(itemsOf([text]));
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["a line without an end", "x".repeat(2_000)],
  ["data without an end", "data: 0123456789\n".repeat(200)],
])("%s is refused beyond the bound, whatever the pieces", (_name, text) => {
  expect(() => itemsOf([text])).toThrow(RangeError);
  expect(() => itemsOf([...text])).toThrow(RangeError);
});

test("many events that are each within the bound pass in one piece", () => {
  expect(eventsOf("data: 0123456789\n\n".repeat(1_000))).toHaveLength(1_000);
});
