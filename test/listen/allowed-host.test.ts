import { describe, expect, test } from "vitest";
import { type HostVerdict, judgeHost } from "../../server/src/listen/allowed-host.ts";

const ROWS: readonly (readonly [
  host: string | undefined,
  isFromBrowser: boolean,
  isStrict: boolean,
  verdict: HostVerdict,
])[] = [
  ["127.0.0.1:8081", true, true, "allowed"],
  ["10.1.2.3", true, true, "allowed"],
  ["[::1]:8081", true, true, "allowed"],
  ["[fd00::1]", true, true, "allowed"],
  ["localhost:8081", true, true, "allowed"],
  ["LOCALHOST", true, true, "allowed"],
  ["app.localhost", true, true, "allowed"],
  ["api.example:443", true, true, "allowed"],
  ["API.example.", true, true, "allowed"],
  ["evil.example", true, true, "foreign"],
  ["evil.example", false, true, "foreign"],
  ["evil.example", true, false, "foreign"],
  ["conduit-server:8081", false, false, "allowed"],
  ["api.example.evil.example", true, true, "foreign"],
  ["127.0.0.1.evil.example", true, true, "foreign"],
  ["localhost.evil.example", true, true, "foreign"],
  [undefined, false, false, "malformed"],
  ["", false, false, "malformed"],
  ["api.example,api.example", false, false, "malformed"],
  ["user@api.example", true, true, "malformed"],
  ["api.example/x", true, true, "malformed"],
  ["[::1", true, true, "malformed"],
];

describe("judgeHost", () => {
  test.each(ROWS)("%j from a browser %s, strict %s: %s", (host, isFromBrowser, isStrict, verdict) => {
    expect(judgeHost({ host, isFromBrowser }, { names: ["api.example"], isStrict })).toBe(verdict);
  });
});
