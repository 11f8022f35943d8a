import { describe, expect, test } from "vitest";
import { findCycle, parseSource } from "./source-file.ts";

describe("reading source files", () => {
  test("finds every form of import", () => {
    const file = parseSource(
      "server/src/proxy/route.ts",
      [
        'import type { Link } from "../model/link.ts";',
        "import {",
        "  isIP,",
        "  type Socket as S,",
        '} from "node:net";',
        'import * as jose from "jose";',
        'export { x } from "@conduit-link/proto/conduit/v1/link_service_pb";',
        '// import "never.ts";',
        'const late = await import("@conduit-link/sdk/server");',
      ].join("\n"),
    );
    expect(file.imports).toEqual([
      { target: "server/src/model/link.ts", isTypeOnly: true, names: ["Link"] },
      { target: "node:net", isTypeOnly: false, names: ["isIP"] },
      { target: "jose", isTypeOnly: false, names: [] },
      { target: "proto/gen/conduit/v1/link_service_pb", isTypeOnly: false, names: ["x"] },
      { target: "sdk/src/server", isTypeOnly: false, names: [] },
    ]);
  });

  test("takes away comments and quoted text, not what looks like them", () => {
    const file = parseSource(
      "a.ts",
      'const url = "http://x"; // any\nconst quote = /["\'/]/; const b = "any"; /* any */',
    );
    expect(file.code).toBe('const url = "http://x"; \nconst quote = /["\'/]/; const b = "any"; ');
    expect(file.bareCode).toBe('const url = ""; \nconst quote = ""; const b = ""; ');
  });

  test("finds a circle of imports", () => {
    const files = [
      parseSource("a.ts", 'import "./b.ts";'),
      parseSource("b.ts", 'import "./c.ts";'),
      parseSource("c.ts", 'import "./b.ts";'),
    ];
    expect(findCycle(files)).toEqual(["b.ts", "c.ts", "b.ts"]);
    expect(findCycle(files.slice(0, 2))).toBeUndefined();
  });
});
