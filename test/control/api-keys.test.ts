import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { RetryInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createKeyGuard, REQUESTS_PER_MINUTE_DEFAULT } from "../../server/src/control/key-guard.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import { type ControlPlane, failureOf, startControlPlane, type TestProject } from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
});
afterAll(() => plane[Symbol.asyncDispose]());

const keys = () => plane.client(ApiKeyService, project.keys.owner);
const create = async (more: object = {}) =>
  (await keys().createApiKey({ parent: project.name, apiKey: { role: Role.VIEWER, ...more } })).apiKey!;
const use = (key: string) => plane.client(ProjectService, key).getProject({ name: project.name });
const isRefused = async (key: string): Promise<boolean> => (await failureOf(use(key))).code === "Unauthenticated";
const MINUTE = { seconds: 60n };

describe("rotation", () => {
  it("gives a new text; the one before counts to the end of the overlap, to the millisecond", async () => {
    const { name, key: old, keyHint } = await create();
    const { apiKey } = await keys().rotateApiKey({ name, overlap: MINUTE });
    expect(apiKey).toMatchObject({ name, previousExpireTime: { seconds: BigInt(plane.clock.now() / 1000 + 60) } });
    expect(apiKey?.keyHint).not.toBe(keyHint);
    plane.clock.advance(59_999);
    await use(old);
    await use(apiKey!.key);
    plane.clock.advance(1);
    expect(await isRefused(old)).toBe(true);
    await use(apiKey!.key);
    expect((await keys().getApiKey({ name })).apiKey?.key).toBe("");
  });

  it("without overlap ends the text before at once, and never outlives the key's own expiry", async () => {
    const { name, key: old } = await create();
    await keys().rotateApiKey({ name, overlap: { seconds: 0n } });
    expect(await isRefused(old)).toBe(true);
    const expireTime = { seconds: BigInt(plane.clock.now() / 1000) + 30n };
    const expiring = await create({ expireTime });
    await keys().rotateApiKey({ name: expiring.name, overlap: MINUTE });
    plane.clock.advance(30_000);
    expect(await isRefused(expiring.key)).toBe(true);
  });

  it("again within the overlap locks nobody out whose answer was lost", async () => {
    const { name, key: held } = await create();
    const { apiKey: lost } = await keys().rotateApiKey({ name, overlap: MINUTE });
    const { apiKey: kept } = await keys().rotateApiKey({ name, overlap: MINUTE });
    await use(held);
    await use(kept!.key);
    expect(await isRefused(lost!.key)).toBe(true);
  });

  it("of more than 30 days is refused, and a deleted key is gone in both texts", async () => {
    const { name, key: old } = await create();
    const long = keys().rotateApiKey({ name, overlap: { seconds: 2_592_001n } });
    expect((await failureOf(long)).fields).toEqual(["overlap"]);
    const { apiKey } = await keys().rotateApiKey({ name, overlap: MINUTE });
    await keys().deleteApiKey({ name });
    expect([await isRefused(old), await isRefused(apiKey!.key)]).toEqual([true, true]);
  });
});

describe("allowed addresses", () => {
  const callFrom = (key: string, address: string) =>
    plane.control.gate({
      method: ProjectService.method.getProject,
      requestHeader: new Headers({ authorization: `Bearer ${key}` }),
      values: plane.control.peerValues(address),
    });

  it("admit who connects from them, in every spelling, and nobody else", async () => {
    const { name, key } = await create({ allowedAddresses: ["192.0.2.0/24", "2001:db8::1"] });
    for (const address of ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "2001:DB8:0:0:0:0:0:1"])
      await callFrom(key, address);
    for (const address of ["192.0.3.7", "2001:db8::2", "::1", "", "garbage"]) {
      const failure = await failureOf(callFrom(key, address));
      expect(failure).toMatchObject({ code: "PermissionDenied", reason: "ADDRESS_DENIED" });
    }
    await keys().updateApiKey({ apiKey: { name, allowedAddresses: [] }, updateMask: { paths: ["allowed_addresses"] } });
    await callFrom(key, "192.0.3.7");
  });

  it("that are none are refused", async () => {
    const failure = await failureOf(create({ allowedAddresses: ["192.0.2.1", "192.0.2.0/33", "127.1"] }));
    expect(failure.fields).toEqual(["api_key.allowed_addresses[1]", "api_key.allowed_addresses[2]"]);
  });

  it("are not asked of a key that is not valid: strangers learn nothing", async () => {
    const { name, key } = await create({ allowedAddresses: ["192.0.2.1"] });
    await keys().deleteApiKey({ name });
    expect((await failureOf(callFrom(key, "192.0.2.9"))).code).toBe("Unauthenticated");
  });
});

describe("the limit of calls", () => {
  it("is a key's own: at most a sixth of a minute's at once, then evenly; the answer says when to try again", async () => {
    const { key } = await create({ requestsPerMinute: 60 });
    const other = await create({ requestsPerMinute: 60 });
    for (let call = 0; call < 10; call += 1) await use(key);
    const failure = await failureOf(use(key));
    expect(failure).toMatchObject({ code: "ResourceExhausted", reason: "RATE_LIMITED" });
    expect(failure.error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }]);
    await use(other.key);
    plane.clock.advance(1_000);
    await use(key);
    expect((await failureOf(use(key))).reason).toBe("RATE_LIMITED");
  });

  it("is 60,000 a minute by default, and calls from a wrong address do not use it up", () => {
    let nowMs = 0;
    const guard = createKeyGuard({ now: () => nowMs, monotonic: () => nowMs });
    const key = { apiKey: "apiKeys/k", allowedAddresses: ["192.0.2.1"] };
    const isAdmitted = (address: string): boolean => {
      try {
        guard.admit(key, address);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(ConduitError);
        return false;
      }
    };
    for (let call = 0; call < 20_000; call += 1) expect(isAdmitted("192.0.2.2")).toBe(false);
    const burst = REQUESTS_PER_MINUTE_DEFAULT / 6;
    let admitted = 0;
    for (let call = 0; call < burst + 100; call += 1) admitted += isAdmitted("192.0.2.1") ? 1 : 0;
    expect(admitted).toBe(burst);
    nowMs += 1;
    expect([isAdmitted("192.0.2.1"), isAdmitted("192.0.2.1")]).toEqual([true, false]);
  });
});

it("when a key was used last is told, by either of its texts, and written in batches", async () => {
  const { name, key } = await create();
  expect((await keys().getApiKey({ name })).apiKey?.lastUseTime).toBeUndefined();
  await use(key);
  await use(key);
  expect((await keys().getApiKey({ name })).apiKey?.lastUseTime).toBeUndefined();
  await plane.control.flush();
  const { apiKey } = await keys().getApiKey({ name });
  expect(apiKey?.lastUseTime?.seconds).toBe(BigInt(Math.floor(plane.clock.now() / 1000)));
  await keys().rotateApiKey({ name, overlap: MINUTE });
  plane.clock.advance(5_000);
  await use(key);
  await plane.control.flush();
  const { apiKey: later } = await keys().getApiKey({ name });
  expect(later?.lastUseTime?.seconds).toBe(BigInt(Math.floor(plane.clock.now() / 1000)));
  expect(later?.etag).not.toBe("");
});

it("a call that is made twice through gate and interceptors is counted once", async () => {
  const { key } = await create({ requestsPerMinute: 6 });
  await use(key);
  expect((await failureOf(use(key))).reason).toBe("RATE_LIMITED");
});
