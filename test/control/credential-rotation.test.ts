// ConfigService.RotateCredential: the proxy makes its next credential, the control plane learns its hash; nobody is locked out.
import { AuditService } from "@conduit-link/proto/conduit/v1/audit_service_pb";
import { ConfigService } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { generateToken, hashToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import { type ControlPlane, failureOf, startControlPlane } from "./control-plane.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const newCredential = () => generateToken("proxyCredential", systemRandom).reveal();
const sha256 = (text: string) => Buffer.from(hashToken(text), "hex");
const as = (credential: string) => plane.client(ConfigService, credential);
const rotate = (shown: string, next: string) => as(shown).rotateCredential({ credentialSha256: sha256(next) });
const report = (credential: string) => as(credential).reportConfigStatus({ applied: { sequence: 1n } });
const isAccepted = (credential: string) =>
  report(credential).then(
    () => true,
    () => false,
  );

async function join() {
  const { joinToken } = await plane.client(ProxyService).createJoinToken({});
  const { proxy, credential } = await plane.client(ProxyService, null).joinProxy({ joinToken });
  return { name: proxy!.name, credential };
}

it("both count until the next is used, and then the old one is refused", async () => {
  const { name, credential } = await join();
  const next = newCredential();
  await rotate(credential, next);
  expect(await isAccepted(credential)).toBe(true);
  expect(await isAccepted(next)).toBe(true);
  expect((await failureOf(report(credential))).reason).toBe("CREDENTIAL_INVALID");
  expect(await isAccepted(next)).toBe(true);
  const { auditEvents } = await plane.client(AuditService).listAuditEvents({ pageSize: 500 });
  const records = auditEvents.filter(
    ({ action, resource }) => action.endsWith("RotateCredential") && resource === name,
  );
  expect(records).toMatchObject([{ actor: name }]);
  expect(JSON.stringify(plane.answered()) + plane.logged()).not.toContain(next);
});

it("the old one lapses after ten minutes also when the next was never used", async () => {
  const { credential } = await join();
  const next = newCredential();
  await rotate(credential, next);
  plane.clock.advance(10 * MINUTE_MS - 1);
  expect(await isAccepted(credential)).toBe(true);
  plane.clock.advance(1);
  expect(await isAccepted(credential)).toBe(false);
  expect(await isAccepted(next)).toBe(true);
});

it("a repetition changes nothing, and does not make the old one live longer", async () => {
  const { credential } = await join();
  const next = newCredential();
  const first = await rotate(credential, next);
  plane.clock.advance(5 * MINUTE_MS);
  expect((await rotate(credential, next)).previousExpireTime).toEqual(first.previousExpireTime);
  const other = newCredential();
  expect((await rotate(credential, other)).previousExpireTime).toEqual(first.previousExpireTime);
  expect(await isAccepted(next)).toBe(false);
  expect((await rotate(other, other)).previousExpireTime).toBeUndefined();
  expect(await isAccepted(credential)).toBe(false);
  expect(await isAccepted(other)).toBe(true);
});

it("of several at once with one credential each gets an answer, and one of their credentials counts", async () => {
  const { credential } = await join();
  const nexts = Array.from({ length: 8 }, newCredential);
  const answers = await Promise.allSettled(nexts.map((next) => rotate(credential, next)));
  expect(answers.map(({ status }) => status)).not.toContain("rejected");
  expect(await isAccepted(credential)).toBe(true);
  const accepted = await Promise.all(nexts.map(isAccepted));
  expect(accepted.filter(Boolean)).toHaveLength(1);
});

it("is wanted of a credential that is 30 days old, or when an operator asks, and not once it was done", async () => {
  const { name, credential } = await join();
  const isWanted = async (shown: string) => (await report(shown)).rotateCredential;
  expect(await isWanted(credential)).toBe(false);
  plane.clock.advance(30 * DAY_MS);
  expect(await isWanted(credential)).toBe(true);
  const next = newCredential();
  await rotate(credential, next);
  expect([await isWanted(credential), await isWanted(next)]).toEqual([false, false]);

  const service = plane.client(ProxyService);
  await service.rotateProxyCredential({ name });
  expect(await isWanted(next)).toBe(true);
  const last = newCredential();
  await rotate(next, last);
  expect(await isWanted(last)).toBe(false);
  const { proxy } = await service.getProxy({ name });
  expect(proxy!.credentialCreateTime!.seconds).toBe(BigInt(Math.floor(plane.clock.now() / 1000)));
});

it("is refused to a proxy that was revoked, with either credential, and to who shows none", async () => {
  const { name, credential } = await join();
  const next = newCredential();
  await rotate(credential, next);
  const service = plane.client(ProxyService);
  await service.revokeProxy({ name });
  for (const shown of [credential, next])
    expect((await failureOf(rotate(shown, newCredential()))).reason).toBe("PROXY_REVOKED");
  expect((await failureOf(service.rotateProxyCredential({ name }))).reason).toBe("PRECONDITION_UNMET");
  expect((await failureOf(rotate(newCredential(), newCredential()))).reason).toBe("CREDENTIAL_INVALID");
  const short = as((await join()).credential).rotateCredential({ credentialSha256: new Uint8Array(31) });
  expect((await failureOf(short)).fields).toEqual(["credential_sha256"]);
});
