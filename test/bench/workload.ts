import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { exportJWK, type JSONWebKeySet, SignJWT } from "jose";

/** Users whose tokens take turns: more than one so that no per-user shortcut counts, few enough that all are seen soon. */
const USERS = 200;

/** What the proxy under test is configured with; fixed, since nothing else is ever served by it. */
export const BENCH = {
  issuer: "https://issuer.bench.example",
  audience: "https://api.bench.example",
  linkId: "bench-link",
  kid: "bench-key",
} as const;

export interface Keys {
  readonly privateKey: KeyObject;
  readonly jwks: JSONWebKeySet;
}

export async function makeKeys(): Promise<Keys> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...(await exportJWK(publicKey)), kid: BENCH.kid, alg: "RS256", use: "sig" };
  return { privateKey, jwks: { keys: [jwk] } };
}

/** An RS256 token as an identity provider makes it, about 700 bytes. */
export function signToken(privateKey: KeyObject, subject: string, jti: string): Promise<string> {
  return new SignJWT({ email: `${subject}@bench.example`, roles: ["reader", "editor"], scope: "orders:read", jti })
    .setProtectedHeader({ alg: "RS256", kid: BENCH.kid })
    .setIssuer(BENCH.issuer)
    .setAudience(BENCH.audience)
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime("2h")
    .sign(privateKey);
}

/** Whole GET requests of many users, base64. */
export async function makeRequests(privateKey: KeyObject, linkToken: string): Promise<string[]> {
  const users = Array.from({ length: USERS }, (_, index) => `user-${index}`);
  return await Promise.all(
    users.map(async (user) => requestOf(user, await signToken(privateKey, user, user), linkToken)),
  );
}

/** A whole GET request for the user's own path, as a browser sends it, base64. */
export function requestOf(user: string, token: string, linkToken: string): string {
  const lines = [
    `GET /${BENCH.linkId}/api/users/${user}/orders?limit=20 HTTP/1.1`,
    "Host: 127.0.0.1",
    "User-Agent: Mozilla/5.0 (X11; Linux x64) Chrome/140.0",
    "Accept: application/json",
    "Accept-Language: en",
    "Accept-Encoding: gzip, br",
    "Origin: https://app.bench.example",
    `X-Access-Token: ${linkToken}`,
    `Authorization: Bearer ${token}`,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`).toString("base64");
}
