import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { closeFrame, FrameTracker } from "../../../server/src/proxy/websocket/frames.ts";

const TEXT = 1;
const CONTINUATION = 0;
const PING = 9;

interface Frame {
  readonly length: number;
  readonly opcode?: number;
  readonly isFinal?: boolean;
  readonly isMasked?: boolean;
}

function frame({ length, opcode = TEXT, isFinal = true, isMasked = false }: Frame): Buffer {
  const mask = isMasked ? 0x80 : 0;
  const first = (isFinal ? 0x80 : 0) | opcode;
  let head = Buffer.from([first, mask | length]);
  if (length > 125) {
    head = Buffer.from([first, mask | 126, 0, 0]);
    head.writeUInt16BE(Math.min(length, 65_535), 2);
  }
  if (length > 65_535) {
    head = Buffer.concat([Buffer.from([first, mask | 127]), Buffer.alloc(8)]);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  // Payloads of bytes that look like heads.
  return Buffer.concat([head, Buffer.alloc(isMasked ? 4 : 0, 0x81), Buffer.alloc(length, 0x88)]);
}

describe("FrameTracker", () => {
  test("knows where frames end, however the bytes come in", () => {
    const lengths = fc.constantFrom(0, 1, 2, 125, 126, 127, 300, 65_535, 65_536, 70_000);
    const frames = fc.array(fc.record({ length: lengths, isMasked: fc.boolean() }), { minLength: 1, maxLength: 5 });
    const cuts = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(frames, cuts, (list, sizes) => {
        const pieces = list.map(frame);
        const ends = pieces.map((_piece, at) => pieces.slice(0, at + 1).reduce((sum, it) => sum + it.length, 0));
        const bytes = Buffer.concat(pieces);
        const tracker = new FrameTracker(1e9);
        const found: number[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const chunk = bytes.subarray(at, at + (sizes[turn % sizes.length] ?? 1));
          at += tracker.follow(chunk, true);
          if (tracker.isBetweenFrames) found.push(at);
        }
        expect(found).toEqual(ends);
      }),
      { numRuns: 200 },
    );
  });

  test("follows a chunk to its end when nothing asks it to stop", () => {
    const bytes = Buffer.concat([frame({ length: 3 }), frame({ length: 200 }), Buffer.from([0x81])]);
    const tracker = new FrameTracker(1e9);
    expect([tracker.follow(bytes, false), tracker.isBetweenFrames]).toEqual([bytes.length, false]);
  });

  test.each([
    ["one frame", [{ length: 100 }], undefined],
    ["one frame over it", [{ length: 101 }], 1009],
    [
      "fragments",
      [
        { length: 50, isFinal: false },
        { length: 50, opcode: CONTINUATION },
      ],
      undefined,
    ],
    [
      "fragments over it",
      [
        { length: 60, isFinal: false },
        { length: 60, opcode: CONTINUATION },
      ],
      1009,
    ],
    ["two messages", [{ length: 80 }, { length: 80 }], undefined],
    [
      "a ping between",
      [
        { length: 50, isFinal: false },
        { length: 125, opcode: PING },
        { length: 50, opcode: 0 },
      ],
      undefined,
    ],
  ] as const)("counts a message of at most 100 bytes: %s", (_what, frames, fault) => {
    const tracker = new FrameTracker(100);
    tracker.follow(Buffer.concat(frames.map(frame)), false);
    expect(tracker.fault).toBe(fault);
  });

  test("a length over 2^53 is no length", () => {
    const tracker = new FrameTracker(Number.POSITIVE_INFINITY);
    tracker.follow(Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]), false);
    expect(tracker.fault).toBe(1002);
  });
});

test("a close frame holds code and reason, with the mask a client's must have", () => {
  expect(closeFrame(4401, "no", false)).toEqual(Buffer.from([0x88, 4, 0x11, 0x31, 0x6e, 0x6f]));
  expect(closeFrame(1001, "", true)).toEqual(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]));
});
