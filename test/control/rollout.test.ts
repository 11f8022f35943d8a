// ProxyService.GetRollout and WaitForRollout: is a change in force everywhere?

import { ConfigService } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { getConfigHead } from "../../server/src/store/config-head.ts";
import { createDatabase } from "../support/postgres.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";
import { methods } from "./methods.ts";

let plane: ControlPlane;
let project: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
});
afterAll(() => plane[Symbol.asyncDispose]());
// Proxies of the test before are gone.
beforeEach(() => plane.clock.advance(60_000));

const service = () => plane.client(ProxyService);
const head = async () => (await plane.store.read(getConfigHead))!;

const joinAll = (count: number) => Promise.all(Array.from({ length: count }, () => join()));

/** A proxy that reports what it is told to. */
async function join(displayName = "") {
  const { joinToken } = await service().createJoinToken({ displayName });
  const { proxy, credential } = await plane.client(ProxyService, null).joinProxy({ joinToken });
  return {
    name: proxy!.name,
    async applies(
      sequence: bigint,
      more: { epoch?: string; rejected?: Array<{ name: string; version: bigint; message: string }> } = {},
    ) {
      const { epoch = (await head()).epoch, rejected = [] } = more;
      await plane.client(ConfigService, credential).reportConfigStatus({ applied: { epoch, sequence }, rejected });
    },
  };
}

type Joined = Awaited<ReturnType<typeof join>>;

const change = async (): Promise<bigint> => {
  await makeLink(plane, project.name);
  return (await head()).sequence;
};

describe("GetRollout", () => {
  it("counts live proxies by what they have applied, and names those that have not or cannot", async () => {
    const all = await joinAll(5);
    const [ahead, behind, rejecting, restored, silent] = all as [Joined, Joined, Joined, Joined, Joined];
    const sequence = await change();
    await silent.applies(sequence);
    plane.clock.advance(30_001);
    await ahead.applies(sequence);
    await behind.applies(sequence - 1n);
    await restored.applies(sequence + 5n, { epoch: "another history" });
    const [old, later] = [sequence, sequence + 1n].map((version) => ({
      name: "projects/demo/links/x",
      version,
      message: "no",
    }));
    await rejecting.applies(sequence, { rejected: [old!, later!] });
    const never = await join();
    for (const moment of ["in memory", "in the database"]) {
      const { rollout } = await service().getRollout({});
      expect(rollout, moment).toMatchObject({
        ...{ sequence, headSequence: sequence, complete: false, epoch: (await head()).epoch },
        ...{ live: 4, applied: 2, rejecting: 1, missing: 2 },
        missingProxies: [behind.name, restored.name].sort(),
        rejections: [{ proxy: rejecting.name, resource: old }],
      });
      expect(rollout!.gone).toBe((await service().listProxies({ pageSize: 500 })).proxies.length - 4);
      expect(rollout!.missingProxies).not.toContain(never.name);
      await plane.control.flush();
    }
    expect((await service().getRollout({ sequence: sequence - 1n })).rollout).toMatchObject({ applied: 3, missing: 1 });
  });

  it("is not complete for a sequence that does not exist yet, also without a proxy", async () => {
    const { rollout } = await service().getRollout({ sequence: 1_000_000n });
    expect(rollout).toMatchObject({ complete: false, live: 0 });
    expect((await service().getRollout({})).rollout).toMatchObject({ complete: true, live: 0 });
  });

  it("is the operators': others are refused", async () => {
    for (const key of Object.values(project.keys)) {
      expect((await failureOf(plane.client(ProxyService, key).getRollout({}))).code).toBe("PermissionDenied");
      expect((await failureOf(plane.client(ProxyService, key).waitForRollout({}))).code).toBe("PermissionDenied");
    }
  });
});

describe("WaitForRollout", () => {
  it("answers as soon as the last live proxy has reported here, without a look at the database", async () => {
    const [one, two] = (await joinAll(2)) as [Joined, Joined];
    const before = await change();
    await one.applies(before);
    await two.applies(before);
    const sequence = await change();
    const answers = [service().waitForRollout({}), service().waitForRollout({ sequence })];
    await one.applies(sequence);
    await two.applies(sequence);
    for (const { rollout } of await Promise.all(answers))
      expect(rollout).toMatchObject({ sequence, complete: true, live: 2, applied: 2, missing: 0, rejecting: 0 });
  });

  it("answers with counts when the wait is over, and before the call's own deadline", async () => {
    const [one, stuck] = (await joinAll(2)) as [Joined, Joined];
    const sequence = await change();
    await one.applies(sequence);
    await stuck.applies(sequence - 1n);
    const expected = { complete: false, live: 2, applied: 1, missing: 1, missingProxies: [stuck.name] };
    const waited = await service().waitForRollout({ sequence, timeout: { nanos: 20_000_000 } });
    expect(waited.rollout).toMatchObject(expected);
    expect((await service().waitForRollout({ sequence }, { timeoutMs: 300 })).rollout).toMatchObject(expected);
    const tooLong = service().waitForRollout({ timeout: { seconds: 51n } });
    expect((await failureOf(tooLong)).fields).toEqual(["timeout"]);
  });

  it("answers when the process stops, so that the stop does not wait for it", async () => {
    await using stopping = await startControlPlane();
    const waiting = stopping.client(ProxyService).waitForRollout({ sequence: 1_000_000n });
    await stopping.client(ProxyService).getRollout({});
    stopping.control.stop();
    expect((await waiting).rollout).toMatchObject({ complete: false });
    const late = await stopping.client(ProxyService).waitForRollout({ sequence: 1_000_000n });
    expect(late.rollout).toMatchObject({ complete: false });
  });

  it("counts one that rejects as having applied it, and says so", async () => {
    const proxy = await join();
    const sequence = await change();
    await proxy.applies(sequence, { rejected: [{ name: "projects/demo/links/x", version: 1n, message: "too new" }] });
    const { rollout } = await service().waitForRollout({ sequence });
    expect(rollout).toMatchObject({ complete: true, applied: 1, rejecting: 1 });
    expect(rollout!.rejections).toMatchObject([{ proxy: proxy.name, resource: { message: "too new" } }]);
  });
});

describe("GetProxy", () => {
  it("shows one as the list does, with how long the oldest change it lacks has been waiting", async () => {
    const proxy = await join("Edge");
    const sequence = await change();
    const lagOf = async () => (await service().getProxy({ name: proxy.name })).proxy;
    expect(await lagOf()).toMatchObject({ displayName: "Edge", live: false });
    expect((await lagOf())!.lagDuration).toBeUndefined();
    await proxy.applies(sequence);
    expect(await lagOf()).toMatchObject({ live: true, lag: 0n, lagDuration: { seconds: 0n, nanos: 0 } });
    await proxy.applies(sequence - 1n);
    const behind = await lagOf();
    expect(behind).toMatchObject({ live: true, lag: 1n, lagDuration: { seconds: 0n } });
    const listed = (await service().listProxies({ pageSize: 500 })).proxies.find(({ name }) => name === proxy.name);
    expect(listed).toMatchObject({ lag: 1n, live: true });
    await proxy.applies(sequence, { epoch: "another history" });
    expect((await lagOf())!.lagDuration).toBeUndefined();
    expect((await failureOf(service().getProxy({ name: "proxies/none" }))).code).toBe("NotFound");
    expect((await failureOf(service().getProxy({ name: "none" }))).fields).toEqual(["name"]);
  });
});

/** Methods that change nothing, by the verb they begin with. */
const READS = /^(Get|List|Compare|Verify|Introspect|Wait|Watch|Check)/;

/** Those whose answer has no `config_sequence`, and why. */
const WITHOUT: ReadonlyArray<readonly [method: string, why: string]> = [
  ["ConfigService/ReportConfigStatus", "a proxy's report, not a change"],
  ["ConfigService/ReportUsage", "counts, not a change"],
  ["TokenService/MintToken", "changes nothing that proxies hold: they verify what it signs by keys they have"],
  ["TokenService/BatchMintTokens", "as MintToken"],
  ["TokenService/ExchangeToken", "as MintToken"],
  ["TokenService/RefreshToken", "as MintToken; a reuse, which revokes, is answered with an error"],
];

describe("every call that changes something", () => {
  const changing = methods.filter(
    ({ name, parent }) => parent.file.proto.package === "conduit.v1" && !READS.test(name),
  );
  const exceptions = new Set(WITHOUT.map(([method]) => method));
  const idOf = ({ name, parent }: (typeof changing)[number]) => `${parent.name}/${name}`;

  it.each(changing.filter((method) => !exceptions.has(idOf(method))).map((method) => [idOf(method), method] as const))(
    "%s answers with config_sequence",
    (_id, method) => {
      const field = method.output.fields.find(({ name }) => name === "config_sequence");
      expect(field?.fieldKind === "scalar" && field.jsonName).toBe("configSequence");
    },
  );

  it("and the exceptions exist", () => {
    const all = new Set(changing.map(idOf));
    expect(WITHOUT.filter(([method]) => !all.has(method))).toEqual([]);
  });

  it("a change's config_sequence can be waited for", async () => {
    const proxy = await join();
    const name = await makeLink(plane, project.name);
    const { configSequence } = await plane.client(LinkService).disableLink({ name });
    await proxy.applies(configSequence - 1n);
    const waiting = service().waitForRollout({ sequence: configSequence });
    await proxy.applies(configSequence);
    expect((await waiting).rollout).toMatchObject({ sequence: configSequence, complete: true });
  });
});

describe("with two replicas on PostgreSQL", () => {
  it("what one of them is told is known to who waits at the other within seconds", async () => {
    const installation = { url: await createDatabase(), masterKey: Buffer.alloc(32, "shared").toString("base64") };
    await using here = await startControlPlane(installation);
    await using there = await startControlPlane(installation);
    const { joinToken } = await here.client(ProxyService).createJoinToken({});
    const { credential } = await here.client(ProxyService, null).joinProxy({ joinToken });
    const report = async (sequence: bigint) => {
      const { epoch } = (await there.store.read(getConfigHead))!;
      await there.client(ConfigService, credential).reportConfigStatus({ applied: { epoch, sequence } });
    };
    await there.makeProject("demo");
    await report((await there.store.read(getConfigHead))!.sequence);
    await there.control.flush();
    const name = await makeLink(here, "projects/demo");
    const { configSequence } = await here.client(LinkService).disableLink({ name });
    const waiting = here.client(ProxyService).waitForRollout({ sequence: configSequence });
    const { rollout } = await here.client(ProxyService).getRollout({ sequence: configSequence });
    expect(rollout).toMatchObject({ live: 1, applied: 0, missing: 1 });
    await report(configSequence);
    expect((await waiting).rollout).toMatchObject({ complete: true, live: 1, applied: 1 });
  });
});
