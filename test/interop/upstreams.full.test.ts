// nginx, haproxy and a Python server behind the proxy: each sees exactly what was judged, and nothing the client forged.
import { describe, expect, test } from "vitest";
import {
  credentialLines,
  HIDDEN_KEY,
  LINK_ID,
  type LinkChanges,
  rawExchange,
  startProxy,
  userToken,
} from "../proxy/harness.ts";
import { type ForeignUpstream, startHaproxy, startNginx, startPython } from "../support/foreign-upstreams.ts";
import { isInstalled } from "../support/installed.ts";

const UPSTREAMS: readonly (readonly [string, string, () => Promise<ForeignUpstream>])[] = [
  ["nginx", "nginx-light", startNginx],
  ["haproxy", "haproxy", startHaproxy],
  ["python3", "python3", startPython],
];

/** As identity providers make them: Auth0, Google, Cognito, Entra, Keycloak, e-mail addresses, numbers. */
const SUBJECTS = [
  ...["auth0|507f1f77bcf86cd799439020", "google-oauth2|103547991597142817347", "a@b.com", "first.last+tag@b.example"],
  ...[
    "550e8400-e29b-41d4-a716-446655440000",
    "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
    "42",
    "user_2NNEqL2nrIRdJ194ndJqAHwEfxC",
  ],
  ...["kc:f:1234:ann", "Zoë", "用户", "a b", "it's", "x~y", "-", "_"],
];

const LINK: LinkChanges = {
  rules: [{ effect: "ALLOW", methods: [], path: "/api/users/{jwt.sub}/**", query: {}, claims: [], message: "" }],
  claimHeaders: [
    { claim: "sub", fallbackClaims: [], header: "X-User-ID", ifMissing: "DENY" },
    { claim: "roles", fallbackClaims: [], header: "X-User-Roles", ifMissing: "OMIT" },
    { claim: "tenant", fallbackClaims: [], header: "X-Tenant-ID", ifMissing: "OMIT" },
  ],
};

/** The text of a body that came with a length or in chunks. */
function bodyOf(answer: string): string {
  const text = Buffer.from(answer.slice(answer.indexOf("\r\n\r\n") + 4), "latin1").toString();
  if (!/^transfer-encoding: chunked\r$/im.test(answer)) return text;
  return text.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, "").replace(/\r\n\r\n$/, "");
}

async function startBehind(start: () => Promise<ForeignUpstream>) {
  const upstream = await start();
  const proxy = await startProxy({ baseUrl: `${upstream.url}/base`, link: LINK });
  const send = async (target: string, lines: string) => {
    const request = `GET /${LINK_ID}${target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${lines}\r\n`;
    const answer = await rawExchange(proxy.port, Buffer.from(request, "latin1"));
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
    return { status, seen: status === 200 ? upstream.read(bodyOf(answer)) : undefined };
  };
  return { send };
}

describe.each(UPSTREAMS)("%s", (program, debianPackage, start) => {
  const isThere = isInstalled(program, debianPackage);

  test.runIf(isThere)(
    "sees a subject's own path as it was judged, raw and percent-encoded, and his name once",
    async () => {
      const { send } = await startBehind(start);
      for (const subject of SUBJECTS) {
        const encoded = encodeURIComponent(subject);
        const raw = /^[!-~]+$/.test(subject) && !/[%|^"<>\\`{}]/.test(subject) ? [subject] : [];
        const every = [...Buffer.from(subject)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
        for (const spelling of new Set([encoded, ...raw, every])) {
          const path = `/api/users/${spelling}/orders`;
          const { status, seen } = await send(`${path}?q=%2F..%2f&r=a+b`, credentialLines(userToken({ sub: subject })));
          expect([subject, spelling, status]).toEqual([subject, spelling, 200]);
          expect(seen?.target).toBe(`/base${path}?q=%2F..%2f&r=a+b`);
          if (seen?.decodedPath !== undefined) expect(seen.decodedPath).toBe(`/base/api/users/${subject}/orders`);
          expect(seen?.header("X-User-ID").map(decodeURIComponent)).toEqual([subject]);
        }
      }
    },
  );

  test.runIf(isThere)(
    "sees the hidden key, the mapped claims, and nothing that the client wrote in their place",
    async () => {
      const { send } = await startBehind(start);
      const names = [
        "X-User-ID",
        "X_User_ID",
        "x_user_id",
        "X-User-Roles",
        "X_USER_ROLES",
        "X-Tenant-ID",
        "X_Tenant_ID",
      ];
      const more = [
        "X-API-Key",
        "X_API_Key",
        "x_api_key",
        "Cookie",
        "X_Access_Token",
        "Proxy-Authorization",
        "X.User.ID",
      ];
      const forged = [...names, ...more].map((name) => `${name}: forged\r\n`).join("");
      const token = userToken({ sub: "ann", roles: ["admin", "editor"] });
      const { seen } = await send("/api/users/ann/x", `${forged}${credentialLines(token)}${forged}`);
      expect(seen?.header("X-API-Key")).toEqual([HIDDEN_KEY]);
      expect(seen?.header("X-User-ID")).toEqual(["ann"]);
      expect(seen?.header("X-User-Roles")).toEqual(["admin, editor"]);
      for (const name of ["X-Tenant-ID", "Authorization", "Cookie", "X-Access-Token"])
        expect(seen?.header(name)).toEqual([]);
    },
  );

  test.runIf(isThere)("never sees a path that it would read as another than the one judged", async () => {
    const { send } = await startBehind(start);
    const tails = [
      "..",
      "%2e%2e",
      ".%2E",
      "..%2f",
      "%2f..",
      "..;",
      "%2e%2e%2f",
      "..%5c",
      "\\..",
      "%252e%252e",
      "..%00",
      "//..",
    ];
    for (const tail of tails) {
      const { status, seen } = await send(`/api/users/ann/${tail}/bob/x`, credentialLines(userToken({ sub: "ann" })));
      expect([tail, status, seen]).toEqual([tail, 400, undefined]);
    }
  });
});
