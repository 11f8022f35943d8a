// Process: verifies tokens nobody has seen, by stage 5 of the proxy and by jose's jwtVerify, and says what each cost.
import { createPublicKey } from "node:crypto";
import { jwtVerify } from "jose";
import { pino } from "pino";
import { systemClock as clock } from "../../server/src/clock.ts";
import { compileLink } from "../../server/src/judge/judged-link.ts";
import type { JudgedRequest } from "../../server/src/judge/judged-request.ts";
import { Refusal } from "../../server/src/judge/refusal.ts";
import { judgeUserToken } from "../../server/src/judge/user-token.ts";
import { JwksSources } from "../../server/src/jwt/jwks.ts";
import { trustIssuer } from "../../server/src/jwt/trust.ts";
import { benchIssuer, benchLink, benchLinkToken } from "./bench-link.ts";
import { serveParent, type VerifyAnswer, type VerifyOrder } from "./messages.ts";
import { BENCH, makeKeys, signToken } from "./workload.ts";

/** Bound of one order. */
const TOKENS_MAX = 1_000;

const { privateKey, jwks } = await makeKeys();
const publicKey = createPublicKey(privateKey);
const fetchJson = async () => ({ status: 200, headers: {}, body: JSON.stringify(jwks) });
const jwksSources = new JwksSources({ fetchJson, clock, log: pino({ level: "silent" }) });
const issuer = trustIssuer({ issuer: benchIssuer("https://issuer.bench.example/jwks.json"), jwksSources });
const link = compileLink({
  link: benchLink("https://api.bench.example"),
  linkTokens: [benchLinkToken("x")],
  issuers: [issuer],
});

type Verify = (token: string) => Promise<unknown>;

const byConduit: Verify = async (token) => {
  const request: JudgedRequest = {
    method: "GET",
    path: "/",
    query: "",
    accessTokens: [],
    authorizations: [`Bearer ${token}`],
    origin: undefined,
    clientAddress: "127.0.0.1",
    cookies: [],
    fetchSites: [],
  };
  const verdict = await judgeUserToken({ link, request, app: { linkToken: undefined } }, clock);
  if (verdict instanceof Refusal) throw new Error(verdict.code);
};

const byJose: Verify = (token) =>
  jwtVerify(token, publicKey, { issuer: BENCH.issuer, audience: BENCH.audience, algorithms: ["RS256"] });

let signed = 0;
const newTokens = (count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, () => signToken(privateKey, "user", `jti-${signed++}`)));

/** Tokens of one kind in a row, before it is the other's turn: what the machine does meanwhile meets both alike. */
const CHUNK = 10;

/** CPU microseconds, threads included: WebCrypto verifies on one. */
async function costOf(verify: Verify, tokens: readonly string[]): Promise<number> {
  const before = process.cpuUsage();
  for (const token of tokens) await verify(token);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function run(order: VerifyOrder): Promise<VerifyAnswer> {
  const count = Math.min(order.verify, TOKENS_MAX);
  const [ours, theirs] = [await newTokens(count), await newTokens(count)];
  const sums = { conduitMicros: 0, joseMicros: 0 };
  for (let from = 0; from < count; from += CHUNK) {
    sums.conduitMicros += await costOf(byConduit, ours.slice(from, from + CHUNK));
    sums.joseMicros += await costOf(byJose, theirs.slice(from, from + CHUNK));
  }
  return { conduitMicros: sums.conduitMicros / count, joseMicros: sums.joseMicros / count };
}

process.on("message", (message: VerifyOrder | "cpu") => {
  if (message === "cpu") return;
  run(message).then(
    (answer) => process.send?.(answer),
    (cause: unknown) => {
      console.error(`verifier: ${String(cause)}`);
      process.exit(1);
    },
  );
});
serveParent(0);
