// Keys behind a private certificate authority, through a whole installation. Waits for the budget of 30 s in real time.
import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import jwt from "jsonwebtoken";
import { afterAll, expect, test } from "vitest";
import { TLS_PAIR } from "../support/tls-pair.ts";
import { until } from "../support/until.ts";
import { PROJECT, useIssuerStack } from "./issuer-stack.ts";

const AUDIENCE = "https://api.keys.example";
const { call, codeOf, serveLink } = useIssuerStack();
const keyServers: Server[] = [];

afterAll(() => {
  for (const server of keyServers) server.close();
});

test("S18, S19: keys behind a private authority are fetched once that is named, shown, and fetched anew on demand", async () => {
  const pairs = ["one", "two"].map((kid) => ({ kid, ...generateKeyPairSync("ec", { namedCurve: "P-384" }) }));
  let published = pairs.slice(0, 1);
  let fetches = 0;
  const server = createServer({ cert: TLS_PAIR.cert, key: TLS_PAIR.key }, (_request, response) => {
    fetches += 1;
    const keys = published.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: "jwk" }), kid }));
    response.end(JSON.stringify({ keys }));
  });
  keyServers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const jwksUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  const base = { iss: "https://ca.example", jwksUrl, allowPrivate: true, algorithms: ["ES384"] };
  const create = (issuerId: string, more: object) =>
    call("IssuerService", "CreateIssuer", { parent: PROJECT, issuerId, issuer: { ...base, ...more } });
  await create("public-ca", {});
  await create("private-ca", { caCertificates: TLS_PAIR.cert });
  const token = (at: number) =>
    jwt.sign({ sub: "1", aud: AUDIENCE }, pairs[at]!.privateKey, {
      ...{ algorithm: "ES384", issuer: base.iss, keyid: pairs[at]!.kid, expiresIn: "1h" },
    });
  await serveLink("public-ca-link", `${PROJECT}/issuers/public-ca`, { audiences: [AUDIENCE] });
  await serveLink("private-ca-link", `${PROJECT}/issuers/private-ca`, { audiences: [AUDIENCE] });
  expect(await codeOf("public-ca-link", token(0))).toBe("issuer_unreachable");
  expect([await codeOf("private-ca-link", token(0)), fetches]).toEqual(["200", 1]);

  interface Status {
    readonly kids?: string[];
    readonly lastError?: string;
    readonly fetchTime?: string;
  }
  const statusOf = async (id: string): Promise<Status | undefined> => {
    const name = `${PROJECT}/issuers/${id}`;
    const { issuer } = await call<{ issuer: { keyStatus?: Status[] } }>("IssuerService", "GetIssuer", { name });
    return issuer.keyStatus?.[0];
  };
  const shown = await until("the proxy reports", () => statusOf("private-ca"), 20_000);
  expect(shown).toMatchObject({ kids: ["one"], fetchTime: expect.stringMatching(/^20/) });
  expect(await statusOf("public-ca")).toMatchObject({ lastError: expect.stringMatching(/./) });

  // The key that signs is changed, and the operator says so: within the budget of 30 s the new one is there.
  published = pairs.slice(1);
  await call("IssuerService", "RefreshKeys", { name: `${PROJECT}/issuers/private-ca` });
  await until(
    "the old key is gone",
    async () => ((await codeOf("private-ca-link", token(0))) === "200" ? undefined : true),
    45_000,
  );
  expect([await codeOf("private-ca-link", token(1)), fetches]).toEqual(["200", 2]);
}, 90_000);
