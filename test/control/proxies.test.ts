import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ConfigService,
  Hello_Mode,
  ResourceKind,
  type WatchConfigResponse,
  WatchConfigResponseSchema,
} from "@conduit-link/proto/conduit/v1/config_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { UsageService } from "@conduit-link/proto/conduit/v1/usage_service_pb";
import { createContextValues, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { proxyKey } from "../../server/src/control/call.ts";
import { encodingOf } from "../../server/src/model/encoded-message.ts";
import { isTokenOf } from "../../server/src/model/token-string.ts";
import { openForProxy } from "../../server/src/sealing/fleet-key.ts";
import { sealingKey } from "../../server/src/sealing/sealing-key.ts";
import { decodeConfigResource } from "../../server/src/wire/config.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
});
afterAll(() => plane[Symbol.asyncDispose]());

const proxies = () => plane.client(ProxyService);
const join = async (displayName = "") => {
  const { joinToken } = await proxies().createJoinToken({ displayName });
  return plane.client(ProxyService, null).joinProxy({ joinToken });
};

describe("a join token", () => {
  it("lets one proxy join, once", async () => {
    const { joinToken, expireTime } = await proxies().createJoinToken({ displayName: "Edge 1" });
    expect(isTokenOf("joinToken", joinToken)).toBe(true);
    expect(expireTime).toEqual(timestampFromMs(plane.clock.now() + 3_600_000));
    const stranger = plane.client(ProxyService, null);
    const calls = await Promise.allSettled(Array.from({ length: 5 }, () => stranger.joinProxy({ joinToken })));
    const joined = calls.filter((call) => call.status === "fulfilled").map(({ value }) => value);
    expect(joined).toHaveLength(1);
    expect(isTokenOf("proxyCredential", joined[0]!.credential)).toBe(true);
    expect(joined[0]!.proxy).toMatchObject({ displayName: "Edge 1", name: expect.stringMatching(/^proxies\//) });
    expect(await failureOf(stranger.joinProxy({ joinToken }))).toMatchObject({
      code: "Unauthenticated",
      reason: "JOIN_TOKEN_INVALID",
    });
  });

  it("lapses after an hour", async () => {
    const { joinToken } = await proxies().createJoinToken({});
    plane.clock.advance(3_600_000);
    const call = plane.client(ProxyService, null).joinProxy({ joinToken });
    expect((await failureOf(call)).reason).toBe("JOIN_TOKEN_INVALID");
  });

  it.each(["x", "cl_join_0000000000000000000000_000000", ""])("is not %j", async (joinToken) => {
    const failure = await failureOf(plane.client(ProxyService, null).joinProxy({ joinToken }));
    expect(["JOIN_TOKEN_INVALID", "FIELD_INVALID"]).toContain(failure.reason);
  });
});

describe("ListProxies", () => {
  it("shows what each has applied, how far it is behind and what it rejected, before it is written and after", async () => {
    const { proxy, credential } = await join("Behind");
    await makeLink(plane, project.name);
    const { headSequence } = await proxies().listProxies({});
    const rejected = [{ name: "projects/demo/links/x", version: 3n, message: "no" }];
    await plane.client(ConfigService, credential).reportConfigStatus({
      applied: { epoch: "e", sequence: headSequence - 1n },
      rejected,
      proxyVersion: "1.2.3",
    });
    for (const moment of ["in memory", "in the database"]) {
      const { proxies: all } = await proxies().listProxies({});
      const seen = all.find(({ name }) => name === proxy!.name);
      expect(seen, moment).toMatchObject({ lag: 1n, version: "1.2.3", connected: false, rejected });
      expect(seen!.lastSeenTime).toEqual(timestampFromMs(plane.clock.now()));
      await plane.control.flush();
    }
  });
});

describe("WatchConfig", () => {
  /** The frames as the gRPC port writes them: encoded once, the message itself empty. */
  async function watch(proxy: string, until: (frame: WatchConfigResponse) => boolean): Promise<WatchConfigResponse[]> {
    const mount = plane.control.services.find(({ service }) => service === ConfigService);
    const implementation = mount?.implementation as ServiceImpl<typeof ConfigService>;
    const values = createContextValues().set(proxyKey, { proxy, credentialHash: "", isCredentialDue: false });
    const abort = new AbortController();
    const context = { values, signal: abort.signal } as HandlerContext;
    const frames: WatchConfigResponse[] = [];
    const request = { $typeName: "conduit.v1.WatchConfigRequest" as const, proxyVersion: "", instanceId: "" };
    for await (const message of implementation.watchConfig(request, context)) {
      const frame = fromBinary(WatchConfigResponseSchema, encodingOf(message) ?? new Uint8Array());
      frames.push(frame);
      if (until(frame)) break;
    }
    abort.abort();
    return frames;
  }

  it("sends what the services wrote: links, and secrets under the fleet key alone", async () => {
    const value = "hidden-upstream-key-0815";
    const parent = project.name;
    const { secret } = await plane
      .client(SecretService, project.keys.editor)
      .createSecret({ parent, secret: { value } });
    const link = await makeLink(plane, parent);
    const { proxy } = await join();
    const frames = await watch(proxy!.name, ({ event }) => event.case === "snapshot" && event.value.last);
    const [hello] = frames;
    if (hello?.event.case !== "hello") throw new Error("no Hello first");
    expect(hello.event.value).toMatchObject({ mode: Hello_Mode.SNAPSHOT, proxy: proxy!.name });

    const resources = frames.flatMap(({ event }) => (event.case === "snapshot" ? event.value.resources : []));
    const payloadOf = (name: string): Uint8Array => {
      const { change } = resources.find((resource) => resource.name === name)!;
      return change.case === "upsert" ? change.value : new Uint8Array();
    };
    expect(decodeConfigResource("link", payloadOf(link))).toMatchObject({ link: { name: link, debug: "KEY" } });
    const sent = decodeConfigResource("secret", payloadOf(secret!.name));
    if (sent.kind !== "secret") throw new Error("no secret");
    expect(Buffer.from(payloadOf(secret!.name)).includes(value)).toBe(false);
    const fleetKey = sealingKey(hello.event.value.fleetKey);
    expect(openForProxy(fleetKey, sent.sealedValue, { resource: secret!.name, value: "value" }).reveal()).toBe(value);
    const builtIn = decodeConfigResource("issuer", payloadOf("projects/demo/issuers/built-in"));
    expect(builtIn).toMatchObject({ issuer: { keys: { kind: "built_in" } }, jwks: expect.stringContaining('"kid"') });
  });

  it("reaches the sequence that the answer to a change gave, and the change with it", async () => {
    const link = await makeLink(plane, project.name);
    const { configSequence } = await plane.client(LinkService).deleteLink({ name: link });
    const { proxy } = await join();
    const frames = await watch(proxy!.name, ({ event }) => sequenceOf(event) >= configSequence);
    const changes = frames.flatMap(({ event }) => {
      if (event.case === "snapshot") return event.value.resources;
      return event.case === "delta" ? event.value.changes : [];
    });
    const last = changes.findLast(({ kind, name }) => kind === ResourceKind.LINK && name === link);
    expect(["delete", undefined]).toContain(last?.change.case);
  });

  function sequenceOf(event: WatchConfigResponse["event"]): bigint {
    if (event.case === "snapshot" && event.value.last) return event.value.sequence;
    return event.case === "delta" ? event.value.toSequence : -1n;
  }
});

describe("usage", () => {
  const minute = timestampFromMs(Date.UTC(2026, 10, 25, 12));
  const usage = () => plane.client(UsageService, project.keys.viewer);
  const parent = "projects/demo";

  it("is counted once per batch, added up, and listed newest first in pages", async () => {
    const link = await makeLink(plane, parent, "counted");
    const { credential } = await join();
    const reports = plane.client(ConfigService, credential);
    const later = timestampFromMs(Date.UTC(2026, 10, 25, 12, 1, 30));
    const ok = { minute, link, subject: "u1", outcome: "ok", statusClass: 2, requests: 3n };
    const batch = {
      batchId: crypto.randomUUID(),
      increments: [ok, { ...ok, minute: later, outcome: "rule_denied", statusClass: 4, requests: 1n }],
    };
    await reports.reportUsage(batch);
    await reports.reportUsage(batch);
    await reports.reportUsage({ batchId: crypto.randomUUID(), increments: [ok] });
    const first = await usage().listUsage({ parent, link, pageSize: 1 });
    expect(first.usageRollups).toMatchObject([
      { link, outcome: "rule_denied", requests: 1n, minute: { seconds: later.seconds - 30n } },
    ]);
    const second = await usage().listUsage({ parent, link, pageSize: 1, pageToken: first.nextPageToken });
    expect(second).toMatchObject({ usageRollups: [{ outcome: "ok", subject: "u1", requests: 6n }], nextPageToken: "" });
    const moved = usage().listUsage({ parent, pageToken: first.nextPageToken });
    expect((await failureOf(moved)).reason).toBe("PAGE_TOKEN_INVALID");
  });

  it("names what no proxy of ours would send", async () => {
    const { credential } = await join();
    const wrong = { link: "x", outcome: "made-up", statusClass: 9 };
    const call = plane
      .client(ConfigService, credential)
      .reportUsage({ batchId: crypto.randomUUID(), increments: [{ minute, outcome: "ok", statusClass: 2 }, wrong] });
    expect((await failureOf(call)).fields).toEqual([
      "increments[1].minute",
      "increments[1].outcome",
      "increments[1].link",
      "increments[1].status_class",
    ]);
  });

  it("of another project's link is not listed through one's own", async () => {
    const call = usage().listUsage({ parent, link: "projects/other/links/x" });
    expect((await failureOf(call)).fields).toEqual(["link"]);
  });
});
