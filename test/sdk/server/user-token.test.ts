import { createHmac } from "node:crypto";
import { jwtVerify, SignJWT } from "jose";
import jsonwebtoken from "jsonwebtoken";
import { describe, expect, test } from "vitest";
import { signUserToken, UserTokenError, verifyUserToken } from "../../../sdk/src/server/index.ts";

const SECRET = "a secret of more than thirty-two bytes, ä";
const BYTES = new TextEncoder().encode(SECRET);
const NOW_SECONDS = Math.floor(Date.now() / 1000);

describe("signUserToken", () => {
  test("jsonwebtoken and jose accept its tokens and read the claims asked for", async () => {
    const token = await signUserToken({
      sub: "user-1",
      secret: SECRET,
      issuer: "my-app",
      audience: "conduit-api",
      claims: { email: "a@b.example", roles: ["admin", "editor"], name: "Žofie 🦊" },
    });
    const payload = jsonwebtoken.verify(token, SECRET, {
      algorithms: ["HS256"],
      issuer: "my-app",
      audience: "conduit-api",
    });
    expect(payload).toMatchObject({
      sub: "user-1",
      email: "a@b.example",
      roles: ["admin", "editor"],
      name: "Žofie 🦊",
    });
    const { payload: same, protectedHeader } = await jwtVerify(token, BYTES);
    expect(same).toEqual(payload);
    expect(protectedHeader).toEqual({ alg: "HS256", typ: "JWT" });
    expect((same.exp ?? 0) - (same.iat ?? 0)).toBe(900);
  });

  test("two tokens of one moment differ by jti, so that each can be revoked alone", async () => {
    const options = { sub: "1", secret: SECRET, now: () => 0 };
    expect(await signUserToken(options)).not.toBe(await signUserToken(options));
  });

  test.each([
    ["15m", 900],
    ["900s", 900],
    ["24h", 86_400],
    ["7d", 604_800],
    [1, 1],
  ])("expiresIn %s is %i seconds", async (expiresIn, seconds) => {
    const { iat = 0, exp } = jsonwebtoken.decode(await signUserToken({ sub: "1", secret: BYTES, expiresIn })) as {
      iat?: number;
      exp: number;
    };
    expect(exp - iat).toBe(seconds);
  });

  test.each(["", "15", "m", "1.5h", "-1m", "15 m", "15M", 0, -1, 1.5, Number.NaN, "9999999999d"])(
    "expiresIn %j is a TypeError",
    async (expiresIn) => {
      await expect(signUserToken({ sub: "1", secret: SECRET, expiresIn })).rejects.toThrow(TypeError);
    },
  );

  test("claims may be of an interface of the app's own", async () => {
    interface Profile {
      readonly email: string;
      readonly roles: readonly string[];
    }
    const claims: Profile = { email: "ada@example.com", roles: ["editor"] };
    const token = await signUserToken({ sub: "1", secret: SECRET, claims });
    expect(await verifyUserToken(token, { secret: SECRET })).toMatchObject(claims);
  });

  test("a secret that is not there is refused as a short one", async () => {
    const { secret } = {} as { secret: string };
    await expect(signUserToken({ sub: "1", secret })).rejects.toThrow("secret must have at least 32 bytes");
  });

  test("a secret under 32 bytes is refused, counted in bytes, and does not appear in the error", async () => {
    const error = await signUserToken({ sub: "1", secret: "x".repeat(31) }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).not.toContain("xxx");
    await expect(signUserToken({ sub: "1", secret: new Uint8Array(31) })).rejects.toThrow(TypeError);
    await signUserToken({ sub: "1", secret: "ä".repeat(16) });
  });

  test.each(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"])("a claim named %s is refused", async (name) => {
    await expect(signUserToken({ sub: "1", secret: SECRET, claims: { [name]: "x" } })).rejects.toThrow(TypeError);
  });

  test.each([undefined, "", 1, null])("sub %j is refused", async (sub) => {
    await expect(signUserToken({ sub: sub as string, secret: SECRET })).rejects.toThrow(TypeError);
  });
});

describe("verifyUserToken", () => {
  const sign = (claims: object, header: object = { alg: "HS256", typ: "JWT" }, hash = "sha256") => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const input = `${part(header)}.${part(claims)}`;
    return `${input}.${createHmac(hash, BYTES).update(input).digest("base64url")}`;
  };
  const good = { sub: "user-1", exp: NOW_SECONDS + 60 };

  test("tokens of signUserToken, jsonwebtoken and jose pass", async () => {
    const tokens = [
      await signUserToken({ sub: "user-1", secret: SECRET, claims: { email: "a@b.example" } }),
      jsonwebtoken.sign({ sub: "user-1", email: "a@b.example" }, SECRET, { expiresIn: "15m" }),
      await new SignJWT({ email: "a@b.example" })
        .setProtectedHeader({ alg: "HS256" })
        .setSubject("user-1")
        .setExpirationTime("15m")
        .sign(BYTES),
    ];
    for (const token of tokens) {
      expect(await verifyUserToken(token, { secret: SECRET })).toMatchObject({ sub: "user-1", email: "a@b.example" });
    }
  });

  test("RFC 7515 appendix A.1: the signature holds; the token, without sub and of 2011, does not", async () => {
    const token =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const secret = Buffer.from(
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
      "base64url",
    );
    await expect(verifyUserToken(token, { secret })).rejects.toThrow("Token expired");
    const now = () => 1_300_819_379_000;
    await expect(verifyUserToken(token, { secret, now })).rejects.toThrow("Invalid claim: sub");
  });

  test.each<[string, string, string]>([
    ["an empty text", "", "Malformed token"],
    ["two parts", "a.b", "Malformed token"],
    ["four parts", `${sign(good)}.x`, "Malformed token"],
    ["padding", `${sign(good)}=`, "Malformed token"],
    ["a space", `${sign(good)} `, "Malformed token"],
    ["more than 16 KiB", sign({ ...good, p: "x".repeat(16_384) }), "Malformed token"],
    ["a payload that is an array", sign([good]), "Malformed token"],
    ["crit", sign(good, { alg: "HS256", crit: ["b64"], b64: false }), "Malformed token"],
    ["alg none", `${sign(good, { alg: "none" }).split(".").slice(0, 2).join(".")}.`, "Algorithm not allowed"],
    ["HS512", sign(good, { alg: "HS512" }, "sha512"), "Algorithm not allowed"],
    ["alg in lower case", sign(good, { alg: "hs256" }), "Algorithm not allowed"],
    ["another secret", jsonwebtoken.sign(good, "x".repeat(32)), "Invalid signature"],
    ["no exp", sign({ sub: "1" }), "Missing required claim: exp"],
    ["exp as text", sign({ ...good, exp: "9999999999" }), "Invalid claim: exp"],
    ["an exp that is over", sign({ ...good, exp: NOW_SECONDS - 60 }), "Token expired"],
    ["nbf to come", sign({ ...good, nbf: NOW_SECONDS + 300 }), "Token not yet valid"],
    ["iat to come", sign({ ...good, iat: NOW_SECONDS + 300 }), "Token not yet valid"],
    ["a number as sub", sign({ ...good, sub: 1 }), "Invalid claim: sub"],
  ])("%s is refused", async (_name, token, message) => {
    const error = await verifyUserToken(token, { secret: SECRET }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(UserTokenError);
    expect((error as Error).message).toBe(message);
  });

  test("one token has one spelling: another last character with the same bytes is refused", async () => {
    const token = sign(good);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const twin = token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) ?? "") + 1];
    expect(Buffer.from(twin.split(".")[2] ?? "", "base64url")).toEqual(
      Buffer.from(token.split(".")[2] ?? "", "base64url"),
    );
    await expect(verifyUserToken(twin, { secret: SECRET })).rejects.toThrow("Malformed token");
  });

  test("exp holds to the second, plus the leeway", async () => {
    const token = sign({ sub: "1", exp: 1_000 });
    const at = (seconds: number, expLeewaySeconds?: number) =>
      verifyUserToken(token, {
        secret: SECRET,
        now: () => seconds * 1000,
        ...(expLeewaySeconds !== undefined && { expLeewaySeconds }),
      });
    await at(999.999, 0);
    await expect(at(1_000, 0)).rejects.toThrow("Token expired");
    await at(1_004.999);
    await expect(at(1_005)).rejects.toThrow("Token expired");
  });

  test("issuer and audience are compared when asked for", async () => {
    const token = sign({ ...good, iss: "a", aud: ["x", "y"] });
    await verifyUserToken(token, { secret: SECRET, issuer: "a", audience: "y" });
    await expect(verifyUserToken(token, { secret: SECRET, issuer: "b" })).rejects.toThrow("Invalid issuer");
    await expect(verifyUserToken(token, { secret: SECRET, audience: "z" })).rejects.toThrow("Invalid audience");
    await expect(verifyUserToken(sign(good), { secret: SECRET, audience: "z" })).rejects.toThrow("Invalid audience");
  });
});
