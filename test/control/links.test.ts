import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ReportConfigStatusRequestSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import {
  DebugMode,
  type Link,
  Link_State,
  type LinkSchema,
  LinkService,
  LinkTokenMode,
  RuleEffect,
  UserTokenMode,
} from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { getConfigCurrent } from "../../server/src/store/config-current.ts";
import {
  type ControlPlane,
  failureOf,
  makeLink,
  PLAIN_LINK,
  startControlPlane,
  type TestProject,
} from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
let other: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  other = await plane.makeProject("other");
});
afterAll(() => plane[Symbol.asyncDispose]());

const links = (credential = project.keys.editor) => plane.client(LinkService, credential);
const createLink = (link: MessageInitShape<typeof LinkSchema>, linkId = "") =>
  links().createLink({ parent: project.name, linkId, link });
const fresh = () => makeLink(plane, project.name);

describe("CreateLink", () => {
  it("answers with the link, its defaults filled in, and the sequence of the change", async () => {
    const answer = await createLink({ ...PLAIN_LINK, displayName: "Wetter-API (v2)" });
    expect(answer.link?.name).toMatch(/^projects\/demo\/links\/wetter-api-v2-[a-z2-7]{8}$/);
    expect(answer.link).toMatchObject({
      linkTokenMode: LinkTokenMode.REQUIRED,
      userTokenMode: UserTokenMode.OFF,
      debug: DebugMode.KEY,
      state: Link_State.ACTIVE,
      forwardUserToken: "OFF",
      limits: [{ name: "per-user", requests: 60n, burst: 20n }],
      claimHeaders: [{ claim: "sub", header: "X-User-ID" }],
    });
    expect(answer.link?.etag).toMatch(/^".+"$/);
    expect(answer.configSequence).toBeGreaterThan(0n);
  });

  it("makes the same again readable", async () => {
    const { link } = await createLink({ ...PLAIN_LINK, displayName: "Read me" });
    expect((await links().getLink({ name: link!.name })).link).toEqual(link);
  });

  it("refuses a link without rules, naming link.rules", async () => {
    expect(await failureOf(createLink({ upstream: PLAIN_LINK.upstream }))).toMatchObject({
      code: "InvalidArgument",
      reason: "FIELD_INVALID",
      fields: ["link.rules"],
    });
  });

  it.each<[field: string, link: MessageInitShape<typeof LinkSchema>]>([
    ["link.upstream.base_url", { ...PLAIN_LINK, upstream: {} }],
    ["link.upstream.base_url", { ...PLAIN_LINK, upstream: { baseUrl: "ftp://api.example" } }],
    ["link.upstream.base_url", { ...PLAIN_LINK, upstream: { baseUrl: "https://api.example/?a=1" } }],
    ["link.upstream.base_url", { rules: PLAIN_LINK.rules }],
    ["link.rules[1].path", { ...PLAIN_LINK, rules: [...PLAIN_LINK.rules, { path: "no-slash" }] }],
    ["link.rules[0].methods[0]", { ...PLAIN_LINK, rules: [{ path: "/**", methods: ["get"] }] }],
    ["link.limits[0].requests", { ...PLAIN_LINK, limits: [{ name: "a", requests: 0n }] }],
    ["link.limits[0].name", { ...PLAIN_LINK, limits: [{ name: "a b", requests: 1n }] }],
    ["link.display_name", { ...PLAIN_LINK, displayName: "x".repeat(121) }],
    ["link.injections[0].kind", { ...PLAIN_LINK, injections: [{ secret: "projects/demo/secrets/a" }] }],
    [
      "link.injections[0].secret",
      { ...PLAIN_LINK, injections: [{ kind: { case: "bearer", value: {} }, secret: "projects/demo/secrets/none" }] },
    ],
    ["link.issuers[0]", { ...PLAIN_LINK, issuers: ["projects/demo/issuers/none"] }],
    ["link.issuers[0]", { ...PLAIN_LINK, issuers: ["projects/other/issuers/built-in"] }],
    ["link.link_token_mode", { ...PLAIN_LINK, linkTokenMode: LinkTokenMode.OFF }],
    ["link.claim_headers[0].header", { ...PLAIN_LINK, claimHeaders: [{ claim: "sub", header: "X User" }] }],
    ["link.cors.credentials", { ...PLAIN_LINK, cors: { credentials: true } }],
  ])("names %s when it is wrong", async (field, link) => {
    const failure = await failureOf(createLink(link));
    expect(failure).toMatchObject({ code: "InvalidArgument", reason: "FIELD_INVALID" });
    expect(failure.fields).toContain(field);
    expect(failure.message).toContain(field);
  });

  it("names every wrong field at once", async () => {
    const link = { rules: [{ path: "x" }], limits: [{ name: "", requests: 0n }] };
    expect((await failureOf(createLink(link))).fields).toEqual(
      expect.arrayContaining(["link.rules[0].path", "link.limits[0].name", "link.limits[0].requests"]),
    );
  });

  it("refuses an id that is taken, or was once, in any project", async () => {
    const name = await makeLink(plane, other.name, "taken-for-ever");
    const refused = { code: "AlreadyExists", reason: "RESOURCE_EXISTS" };
    expect(await failureOf(createLink(PLAIN_LINK, "taken-for-ever"))).toMatchObject(refused);
    await plane.client(LinkService).deleteLink({ name });
    expect(await failureOf(createLink(PLAIN_LINK, "taken-for-ever"))).toMatchObject(refused);
  });

  it("refuses a project that is not there", async () => {
    const call = plane.client(LinkService).createLink({ parent: "projects/nowhere", link: PLAIN_LINK });
    expect(await failureOf(call)).toMatchObject({ code: "NotFound", reason: "RESOURCE_NOT_FOUND" });
  });

  it("lets operators alone allow private upstreams, and keeps others from turning one elsewhere", async () => {
    const upstream = { baseUrl: "http://127.0.0.1:1", allowPrivate: true };
    const refused = await failureOf(createLink({ ...PLAIN_LINK, upstream }));
    expect(refused).toMatchObject({ code: "PermissionDenied", reason: "PERMISSION_MISSING" });
    expect(refused.message).toContain("link.upstream.allow_private");
    const { link } = await plane
      .client(LinkService)
      .createLink({ parent: project.name, link: { ...PLAIN_LINK, upstream } });
    const turned = { name: link!.name, upstream: { baseUrl: "http://127.0.0.2:1" } };
    expect((await failureOf(links().updateLink({ link: turned }))).code).toBe("PermissionDenied");
    await links().updateLink({ link: { name: link!.name, displayName: "Still mine to name" } });
  });

  it("with validate_only checks everything and changes nothing", async () => {
    const request = { parent: project.name, linkId: "only-checked", link: PLAIN_LINK, validateOnly: true };
    const answer = await links().createLink(request);
    expect(answer).toMatchObject({ configSequence: 0n, link: { name: "projects/demo/links/only-checked" } });
    expect((await failureOf(links().getLink({ name: "projects/demo/links/only-checked" }))).code).toBe("NotFound");
    await createLink(PLAIN_LINK, "only-checked");
    expect((await failureOf(links().createLink(request))).reason).toBe("RESOURCE_EXISTS");
  });
});

describe("UpdateLink", () => {
  it("without a mask changes the fields that are set, and no others", async () => {
    const { link } = await createLink({ ...PLAIN_LINK, displayName: "Before", sendForwarded: true });
    const { link: next } = await links().updateLink({
      link: { name: link!.name, displayName: "After", upstream: { baseUrl: "https://b.example" } },
    });
    expect(next).toMatchObject({ displayName: "After", sendForwarded: true, rules: [{ path: "/**" }] });
    expect(next!.upstream).toMatchObject({ baseUrl: "https://b.example", connectTimeout: { seconds: 5n } });
  });

  it("with a mask changes exactly its fields, also to nothing", async () => {
    const { link } = await createLink({ ...PLAIN_LINK, displayName: "Before" });
    const { link: next } = await links().updateLink({
      link: { name: link!.name, displayName: "Ignored" },
      updateMask: { paths: ["limits", "rules", "upstream.total_timeout"] },
    });
    expect(next).toMatchObject({ displayName: "Before", limits: [], rules: [] });
  });

  it("with * replaces everything", async () => {
    const { link } = await createLink({ ...PLAIN_LINK, displayName: "Before", sendForwarded: true });
    const { link: next } = await links().updateLink({
      link: { name: link!.name, ...PLAIN_LINK },
      updateMask: { paths: ["*"] },
    });
    expect(next).toMatchObject({ displayName: "", sendForwarded: false, limits: [] });
  });

  it.each(["nonsense", "rules.path", "upstream.nonsense", "display_name.x", ""])(
    "refuses the path %j",
    async (path) => {
      const name = await fresh();
      const call = links().updateLink({ link: { name, displayName: "x" }, updateMask: { paths: [path] } });
      const failure = await failureOf(call);
      expect(failure).toMatchObject({ reason: "FIELD_INVALID", fields: ["update_mask"] });
      expect(failure.message).toContain(path);
    },
  );

  it("ignores what only the server writes", async () => {
    const name = await fresh();
    const { link } = await links().updateLink({
      link: { name, state: Link_State.DISABLED, conditions: [{ type: "X", message: "y" }] },
      updateMask: { paths: ["state", "conditions", "name", "create_time"] },
    });
    expect(link).toMatchObject({ name, state: Link_State.ACTIVE, conditions: [] });
  });

  it("refuses a stale etag, and takes the current one", async () => {
    const { link } = await createLink(PLAIN_LINK);
    const { name, etag } = link!;
    const changed = await links().updateLink({ link: { name, etag, displayName: "1" } });
    const stale = links().updateLink({ link: { name, etag, displayName: "2" } });
    expect(await failureOf(stale)).toMatchObject({ code: "Aborted", reason: "ETAG_MISMATCH" });
    expect((await failureOf(links().deleteLink({ name, etag }))).reason).toBe("ETAG_MISMATCH");
    await links().deleteLink({ name, etag: changed.link!.etag });
  });

  it("turns verification on with the first issuer, unless it says otherwise", async () => {
    const issuers = ["projects/demo/issuers/built-in"];
    const { link } = await links().updateLink({ link: { name: await fresh(), issuers } });
    expect(link!.userTokenMode).toBe(UserTokenMode.REQUIRED);
    const optional = await links().updateLink({
      link: { name: await fresh(), issuers, userTokenMode: UserTokenMode.OPTIONAL },
    });
    expect(optional.link!.userTokenMode).toBe(UserTokenMode.OPTIONAL);
  });

  it("checks the whole link that comes out", async () => {
    const name = await fresh();
    const call = links().updateLink({ link: { name, linkTokenMode: LinkTokenMode.OPTIONAL } });
    expect((await failureOf(call)).fields).toEqual(["link.link_token_mode"]);
    const strict = links().updateLink({
      link: { name, allowAmbiguousPaths: true, rules: [{ path: "/x", effect: RuleEffect.DENY }] },
    });
    expect((await failureOf(strict)).fields).toEqual(["link.allow_ambiguous_paths"]);
  });

  it("with validate_only changes nothing", async () => {
    const name = await fresh();
    const { link, configSequence } = await links().updateLink({
      link: { name, displayName: "No" },
      validateOnly: true,
    });
    expect([link!.displayName, configSequence]).toEqual(["No", 0n]);
    expect((await links().getLink({ name })).link!.displayName).toBe("");
  });

  it("reaches into a single message without the rest of it", async () => {
    const name = await fresh();
    const { link } = await links().updateLink({ link: { name, upstream: { connectTimeout: { seconds: 1n } } } });
    expect(link!.upstream).toMatchObject({ connectTimeout: { seconds: 1n }, ...PLAIN_LINK.upstream });
    const cleared = links().updateLink({ link: { name }, updateMask: { paths: ["upstream"] } });
    expect((await failureOf(cleared)).fields).toEqual(["link.upstream.base_url"]);
  });

  it("names link.name when it is none", async () => {
    expect((await failureOf(links().updateLink({ link: { name: "projects/demo" } }))).fields).toEqual(["link.name"]);
  });
});

describe("a link's state", () => {
  it("changes by DisableLink and EnableLink", async () => {
    const name = await fresh();
    const off = await links().disableLink({ name });
    expect(off.link!.state).toBe(Link_State.DISABLED);
    const on = await links().enableLink({ name });
    expect(on.link!.state).toBe(Link_State.ACTIVE);
    expect(on.configSequence).toBeGreaterThan(off.configSequence);
  });
});

describe("DeleteLink", () => {
  it("takes the link's tokens with it", async () => {
    const name = await fresh();
    const tokens = plane.client(LinkTokenService, project.keys.editor);
    const { linkToken } = await tokens.createLinkToken({ parent: name, linkToken: {} });
    await links().deleteLink({ name });
    expect((await failureOf(tokens.getLinkToken({ name: linkToken!.name }))).code).toBe("NotFound");
    expect((await failureOf(links().deleteLink({ name }))).code).toBe("NotFound");
  });
});

describe("conditions", () => {
  it("warn of unchecked audiences and of versions the proxies rejected", async () => {
    const issuers = plane.client(IssuerService, project.keys.editor);
    const keys = { case: "jwksUrl", value: "https://id.example/jwks" } as const;
    const { issuer } = await issuers.createIssuer({
      parent: project.name,
      issuer: { iss: "https://id.example", keys },
    });
    const { link } = await createLink({ ...PLAIN_LINK, issuers: [issuer!.name], anyAudience: true });
    expect(link!.conditions.map(({ type }) => type)).toEqual(["AUDIENCE_UNCHECKED"]);
    const { version } = (await plane.store.read((reader) =>
      getConfigCurrent(reader, { kind: "link", name: link!.name }),
    ))!;
    const report = (proxyVersion: string, rejected: Array<{ name: string; version: bigint; message: string }>) =>
      plane.reportAsProxy(
        create(ReportConfigStatusRequestSchema, { applied: { sequence: version }, rejected, proxyVersion }),
      );
    await report("old", [{ name: link!.name, version, message: "a rule this version does not know" }]);
    await report("new", []);
    const condition = {
      type: "REJECTED_BY_PROXIES",
      message: "Rejected by 1 of 2 proxies, which keep the version before: a rule this version does not know",
    };
    const answers = {
      get: (await links().getLink({ name: link!.name })).link,
      list: (await links().listLinks({ parent: project.name })).links.find(({ name }) => name === link!.name),
      update: (await links().updateLink({ link: { name: link!.name } })).link,
    };
    for (const [answer, { conditions }] of Object.entries(answers as Record<string, Link>))
      expect([answer, conditions[1]]).toEqual([answer, expect.objectContaining(condition)]);

    const changed = await links().updateLink({ link: { name: link!.name, displayName: "mended" } });
    expect(changed.link!.conditions.map(({ type }) => type)).toEqual(["AUDIENCE_UNCHECKED"]);
    plane.clock.advance(60_000);
    await report("newer still", []);
    expect((await links().getLink({ name: link!.name })).link!.conditions).toHaveLength(1);
  });
});
