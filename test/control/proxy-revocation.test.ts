// RevokeProxy: the proxy is shut out at once, at every replica, and what is written afterwards is under a key it never gets.
import { AuditService } from "@conduit-link/proto/conduit/v1/audit_service_pb";
import { ConfigService, Hello_SnapshotReason } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { Proxy_State, ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConduitError } from "../../server/src/model/errors.ts";
import { openForProxy } from "../../server/src/sealing/fleet-key.ts";
import { type SealingKey, sealingKey } from "../../server/src/sealing/sealing-key.ts";
import { readConfigCurrent } from "../../server/src/store/config-current.ts";
import { getConfigHead } from "../../server/src/store/config-head.ts";
import { decodeConfigResource } from "../../server/src/wire/config.ts";
import { createDatabase } from "../support/postgres.ts";
import { type ControlPlane, failureOf, PLAIN_LINK, startControlPlane } from "./control-plane.ts";
import { watchConfig } from "./watched-config.ts";

const PARENT = "projects/demo";

async function join(plane: ControlPlane, displayName = "") {
  const { joinToken } = await plane.client(ProxyService).createJoinToken({ displayName });
  const { proxy, credential } = await plane.client(ProxyService, null).joinProxy({ joinToken });
  const report = () => plane.client(ConfigService, credential).reportConfigStatus({ applied: { sequence: 1n } });
  return { name: proxy!.name, etag: proxy!.etag, report };
}

const makeSecret = async (plane: ControlPlane, value: string): Promise<string> =>
  (await plane.client(SecretService).createSecret({ parent: PARENT, secret: { value, nextValue: `${value} next` } }))
    .secret!.name;

/** A link that asks for assertions: their key travels sealed too. */
const makeAssertingLink = (plane: ControlPlane) =>
  plane.client(LinkService).createLink({
    parent: PARENT,
    link: { ...PLAIN_LINK, identityAssertion: true },
  });

/** What the proxies are sent now: each value that is sealed, opened by a key; undefined = it does not open. */
async function openedBy(plane: ControlPlane, key: SealingKey): Promise<Map<string, string | undefined>> {
  const all = await plane.store.read((reader) => readConfigCurrent(reader, undefined, 10_000));
  const opened = new Map<string, string | undefined>();
  for (const { kind, name, payload } of all) {
    if (kind !== "secret" && kind !== "assertion_key") continue;
    const resource = decodeConfigResource(kind, payload);
    try {
      if (resource.kind === "secret")
        opened.set(name, openForProxy(key, resource.sealedValue, { resource: name, value: "value" }).reveal());
      if (resource.kind === "assertion_key") {
        const place = { resource: `${PARENT}/signingKeys/${resource.kid}`, value: "value" } as const;
        opened.set(name, openForProxy(key, resource.sealedPrivateJwk, place).reveal());
      }
    } catch {
      opened.set(name, undefined);
    }
  }
  return opened;
}

const isOpen = (opened: ReadonlyMap<string, string | undefined>) =>
  [...opened.values()].map((text) => text !== undefined);

const refusal = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "nothing",
    (cause: unknown) => (cause instanceof ConduitError ? cause.code : cause),
  );

describe("a proxy that is revoked", () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
    await plane.makeProject("demo");
    await makeAssertingLink(plane);
  });
  afterAll(() => plane[Symbol.asyncDispose]());

  it("is refused, its stream ends, and it gets none afterwards; everything sealed is under a key it does not have", async () => {
    const [lost, kept] = [await join(plane, "Lost"), await join(plane, "Kept")];
    const before = await makeSecret(plane, "a-secret-from-before");
    const [lostStream, keptStream] = [await watchConfig(plane, lost.name), await watchConfig(plane, kept.name)];
    const oldKey = sealingKey(lostStream.hello.fleetKey);
    expect(isOpen(await openedBy(plane, oldKey))).toEqual([true, true]);

    const answer = await plane.client(ProxyService).revokeProxy({ name: lost.name, reason: "sold" });
    expect(answer.proxy).toMatchObject({ state: Proxy_State.REVOKED, live: false });
    expect(answer.proxy!.revokeTime).toBeDefined();
    expect(await failureOf(lost.report())).toMatchObject({ code: "Unauthenticated", reason: "PROXY_REVOKED" });
    await kept.report();

    for (const { end, later } of [lostStream, keptStream]) {
      expect(await end).toMatchObject({ code: "not_ready" });
      expect(later).toEqual([]);
    }
    // Let in a moment before, as the context here says: nothing is sent all the same.
    expect(await refusal(watchConfig(plane, lost.name))).toBe("proxy_revoked");

    const again = await watchConfig(plane, kept.name);
    const newKey = sealingKey(again.hello.fleetKey);
    expect(again.hello.snapshotReason).toBe(Hello_SnapshotReason.COLD_START);
    expect(again.hello.epoch).not.toBe(keptStream.hello.epoch);
    expect(again.hello.headSequence).toBe(answer.configSequence);
    const after = await makeSecret(plane, "a-secret-from-afterwards");
    const opened = await openedBy(plane, newKey);
    expect([opened.get(before), opened.get(after)]).toEqual(["a-secret-from-before", "a-secret-from-afterwards"]);
    expect(isOpen(opened)).toEqual([true, true, true]);
    expect(isOpen(await openedBy(plane, oldKey))).toEqual([false, false, false]);
    again.close();
  });

  it("once: a second call changes nothing; the trail has one record, with the reason; an old etag is refused", async () => {
    const proxy = await join(plane);
    const service = plane.client(ProxyService);
    await service.updateProxy({ proxy: { name: proxy.name, displayName: "Renamed" } });
    const stale = service.revokeProxy({ name: proxy.name, etag: proxy.etag });
    expect((await failureOf(stale)).reason).toBe("ETAG_MISMATCH");
    const [first, second] = [
      await service.revokeProxy({ name: proxy.name, reason: "lost on a train" }),
      await service.revokeProxy({ name: proxy.name }),
    ];
    expect(second).toEqual(first);
    expect(first.proxy!.displayName).toBe("Renamed");
    const { auditEvents } = await plane.client(AuditService).listAuditEvents({ pageSize: 500 });
    const records = auditEvents.filter(
      ({ action, resource }) => action.endsWith("RevokeProxy") && resource === proxy.name,
    );
    expect(records).toMatchObject([{ details: { reason: "lost on a train" } }]);
    expect((await failureOf(service.revokeProxy({ name: "proxies/none" }))).code).toBe("NotFound");
  });

  it("is in no rollout any more, and may then be deleted; one that is not may not", async () => {
    const proxy = await join(plane);
    const service = plane.client(ProxyService);
    await proxy.report();
    const liveBefore = (await service.getRollout({})).rollout!.live;
    const early = await failureOf(service.deleteProxy({ name: proxy.name }));
    expect(early).toMatchObject({ code: "FailedPrecondition", reason: "PRECONDITION_UNMET" });
    await service.revokeProxy({ name: proxy.name });
    expect((await service.getRollout({})).rollout!.live).toBe(liveBefore - 1);
    await service.deleteProxy({ name: proxy.name });
    expect((await failureOf(service.getProxy({ name: proxy.name }))).code).toBe("NotFound");
    expect((await failureOf(proxy.report())).reason).toBe("CREDENTIAL_INVALID");
  });

  it("leaves page tokens and request ids as they were: their keys are no proxy's", async () => {
    const service = plane.client(SecretService);
    const request = {
      parent: PARENT,
      secretId: "once",
      secret: { value: "made-exactly-once" },
      requestId: crypto.randomUUID(),
    };
    const made = await service.createSecret(request);
    const page = await service.listSecrets({ parent: PARENT, pageSize: 1 });
    await plane.client(ProxyService).revokeProxy({ name: (await join(plane)).name });
    expect((await service.createSecret(request)).secret).toEqual(made.secret);
    const next = await service.listSecrets({ parent: PARENT, pageSize: 1, pageToken: page.nextPageToken });
    expect(next.secrets).toHaveLength(1);
  });
});

describe("with two replicas on PostgreSQL", () => {
  let [first, second]: ControlPlane[] = [];
  const planes = () => [first!, second!] as const;
  beforeAll(async () => {
    const installation = { url: await createDatabase(), masterKey: Buffer.alloc(32, "shared").toString("base64") };
    [first, second] = [await startControlPlane(installation), await startControlPlane(installation)];
    await first.makeProject("demo");
    await makeAssertingLink(first);
  }, 60_000);
  afterAll(async () => {
    await second?.[Symbol.asyncDispose]();
    await first?.[Symbol.asyncDispose]();
  });

  it("one revokes; the other refuses the proxy at once, ends its stream, and seals under the new key", async () => {
    const [one, two] = planes();
    const [lost, kept] = [await join(one), await join(two)];
    const stream = await watchConfig(two, lost.name);
    const oldKey = sealingKey(stream.hello.fleetKey);
    await one.client(ProxyService).revokeProxy({ name: lost.name });
    const credentialRefused = failureOf(lost.report());
    // At once: before the other replica has read the log.
    const name = await makeSecret(two, "sealed-by-the-other-replica");
    expect((await openedBy(two, oldKey)).get(name)).toBeUndefined();
    expect((await credentialRefused).reason).toBe("PROXY_REVOKED");
    expect(await stream.end).toMatchObject({ code: "not_ready" });
    expect(stream.later).toEqual([]);
    const again = await watchConfig(two, kept.name);
    expect((await openedBy(two, sealingKey(again.hello.fleetKey))).get(name)).toBe("sealed-by-the-other-replica");
    again.close();
  });

  it("secrets written while proxies are revoked all open under the last key, and under no key before", async () => {
    const [one, two] = planes();
    const proxies = await Promise.all([join(one), join(one), join(two), join(two)]);
    const keys: SealingKey[] = [];
    const values = new Map<string, string>();
    async function write(plane: ControlPlane, count: number): Promise<void> {
      for (let at = 0; at < count; at += 1) {
        const value = `written-meanwhile-${crypto.randomUUID()}`;
        values.set(await makeSecret(plane, value), value);
      }
    }
    async function revoke(): Promise<void> {
      for (const [at, { name }] of proxies.slice(1).entries()) {
        const stream = await watchConfig(one, name);
        keys.push(sealingKey(stream.hello.fleetKey));
        await planes()[at % 2]!.client(ProxyService).revokeProxy({ name });
        await stream.end;
      }
    }
    await Promise.all([write(one, 15), write(one, 15), write(two, 15), write(two, 15), revoke()]);
    const { hello, close } = await watchConfig(one, proxies[0]!.name);
    close();
    const opened = await openedBy(one, sealingKey(hello.fleetKey));
    expect(isOpen(opened)).not.toContain(false);
    for (const [name, value] of values) expect(opened.get(name)).toBe(value);
    for (const key of keys) expect(isOpen(await openedBy(one, key))).not.toContain(true);
    expect((await one.store.read(getConfigHead))!.epoch).toBe(hello.epoch);
  });
});
