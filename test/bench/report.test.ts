import { describe, expect, test } from "vitest";
import { quartilesOf } from "./quartiles.ts";
import { readResponse } from "./raw-response.ts";
import { decimal, type Figure, isShort, linesOf, summaryOf } from "./report.ts";

const figure = (limit: Figure["limit"], values: readonly number[]): Figure => ({
  name: "P1.vs_undici",
  quartiles: quartilesOf(values),
  unit: "x",
  limit,
});

describe("report", () => {
  test("a line is what contract.md 12 says", () => {
    expect(linesOf(figure({ at: "most", value: 1.6 }, [1.4, 1.5, 1.7])).at(-1)).toBe(
      "BENCH P1.vs_undici 1.5 x <=1.6 ok",
    );
    expect(linesOf(figure({ at: "least", value: 3000 }, [2000, 2100])).at(-1)).toBe(
      "BENCH P1.vs_undici 2050 x >=3000 SHORT",
    );
    expect(linesOf(figure("-", [0.00123])).at(-1)).toBe("BENCH P1.vs_undici 0.00123 x - ok");
  });

  test("SHORT only when the better quartile misses the limit too", () => {
    const most = { at: "most", value: 1.6 } as const;
    expect(isShort(figure(most, [1.5, 1.6, 1.65, 1.7, 1.8]))).toBe(false);
    expect(isShort(figure(most, [1.61, 1.62, 1.7, 1.8]))).toBe(true);
    expect(isShort(figure({ at: "least", value: 10 }, [8, 9, 10, 11]))).toBe(false);
    expect(isShort(figure("-", [1e9]))).toBe(false);
  });

  test("the last line counts", () => {
    expect(summaryOf([figure("-", [1]), figure({ at: "most", value: 1 }, [2])])).toBe("BENCH summary 1 ok 1 SHORT");
  });

  test("values are plain decimals", () => {
    expect([0, 1.25, 12345.678, 0.000012, 1000, 2].map(decimal)).toEqual([
      "0",
      "1.25",
      "12346",
      "0.000012",
      "1000",
      "2",
    ]);
    expect(() => decimal(Number.NaN)).toThrow(TypeError);
  });
});

describe("readResponse", () => {
  const read = (text: string) => readResponse(Buffer.from(text));
  test("knows a whole answer from a part, by length, by chunks and without body", () => {
    const counted = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    expect(read(`${counted}HTTP/1.1`)).toEqual({ status: 200, length: counted.length });
    expect(read(counted.slice(0, -1))).toBeUndefined();
    expect(read("HTTP/1.1 200 OK\r\nContent-Le")).toBeUndefined();
    const chunked = "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    expect(read(chunked)).toEqual({ status: 403, length: chunked.length });
    expect(read(chunked.slice(0, -1))).toBeUndefined();
    const empty = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    expect(read(empty)).toEqual({ status: 200, length: empty.length });
    const none = "HTTP/1.1 204 No\r\n\r\n";
    expect(read(none)).toEqual({ status: 204, length: none.length });
  });
});
