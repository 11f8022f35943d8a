import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { expect, test, vi } from "vitest";
import { readToken } from "../../server/src/cli/token-input.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";

const said: string[] = [];
const output = { out: () => undefined, err: (text: string) => void said.push(text) };
const pipe = (text?: string) => {
  const stream = new PassThrough();
  if (text !== undefined) stream.end(text);
  return stream;
};

test("a token comes from a file, from a pipe, or from standard input by name", async () => {
  using dir = makeTmpDir("conduit-token-");
  const path = join(dir.path, "token");
  writeFileSync(path, " a.b.c\n");
  expect(await readToken(path, pipe(), output)).toBe("a.b.c");
  expect(await readToken(undefined, pipe("d.e.f\n"), output)).toBe("d.e.f");
  expect(await readToken("-", pipe("g.h.i"), output)).toBe("g.h.i");
  await expect(readToken(join(dir.path, "none"), pipe(), output)).rejects.toMatchObject({ exitCode: 2 });
});

test("a terminal is not waited for, unless it is named", async () => {
  expect(await readToken(undefined, Object.assign(pipe(), { isTTY: true }), output)).toBe("");
});

test("a pipe that nobody named and that stays silent is given up, and that is said", async () => {
  vi.useFakeTimers();
  try {
    const reading = readToken(undefined, pipe(), output);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await reading).toBe("");
    expect(said.join("")).toContain("without one");
  } finally {
    vi.useRealTimers();
  }
});
