// A shared secret changes hands through a whole installation without a refused token.
import { randomBytes } from "node:crypto";
import jwt from "jsonwebtoken";
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import { PROJECT, useIssuerStack } from "./issuer-stack.ts";

const { call, codeOf, serveLink } = useIssuerStack();

test("S11, S12: an HMAC secret's next value verifies beside the current one, and the old one dies with the change", async () => {
  const [first, second, third] = Array.from({ length: 3 }, () => randomBytes(48).toString("base64url"));
  await call("SecretService", "CreateSecret", { parent: PROJECT, secretId: "hmac", secret: { value: first } });
  const secret = `${PROJECT}/secrets/hmac`;
  await call("IssuerService", "CreateIssuer", {
    parent: PROJECT,
    issuerId: "shared",
    issuer: { iss: "https://keys.example", hs256: { secret }, algorithms: ["HS256", "HS384"] },
  });
  await serveLink("hmac-link", `${PROJECT}/issuers/shared`, {});
  const sign = (key = "", algorithm: jwt.Algorithm = "HS256") =>
    jwt.sign({ sub: "1" }, key, { algorithm, issuer: "https://keys.example", expiresIn: "1h" });
  const [byFirst, bySecond, byThird] = [sign(first), sign(second, "HS384"), sign(third)];
  expect([await codeOf("hmac-link", byFirst), await codeOf("hmac-link", bySecond)]).toEqual([
    "200",
    "token_signature_invalid",
  ]);
  await call("SecretService", "UpdateSecret", { secret: { name: secret, nextValue: second } });
  await until("both verify", async () => ((await codeOf("hmac-link", bySecond)) === "200" ? true : undefined));
  expect(await codeOf("hmac-link", byFirst)).toBe("200");
  expect(await codeOf("hmac-link", byThird)).toBe("token_signature_invalid");
  expect(await codeOf("hmac-link", sign(first, "HS512"))).toBe("token_algorithm_refused");
  await call("SecretService", "UpdateSecret", {
    secret: { name: secret, value: second },
    updateMask: "value,nextValue",
  });
  await until("the old one dies", async () =>
    (await codeOf("hmac-link", byFirst)) === "token_signature_invalid" ? true : undefined,
  );
  expect(await codeOf("hmac-link", bySecond)).toBe("200");
}, 30_000);
