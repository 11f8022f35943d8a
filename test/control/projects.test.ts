import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LinkToken_State, LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isTokenOf } from "../../server/src/model/token-string.ts";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

let plane: ControlPlane;
let project: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
});
afterAll(() => plane[Symbol.asyncDispose]());

describe("a project", () => {
  const projects = () => plane.client(ProjectService);

  it("fixes its issuer when it is created", async () => {
    const { project: made } = await projects().createProject({ projectId: "acme", project: { displayName: "Acme" } });
    expect(made).toMatchObject({
      name: "projects/acme",
      issuer: "https://control.example/p/acme",
      displayName: "Acme",
    });
    const { project: renamed } = await projects().updateProject({ project: { name: made!.name, displayName: "ACME" } });
    expect(renamed).toMatchObject({ displayName: "ACME", issuer: made!.issuer });
  });

  it("is made without anything said about it, once per request id", async () => {
    const requestId = crypto.randomUUID();
    const first = await projects().createProject({ requestId });
    expect(first.project!.name).toMatch(/^projects\/project-[a-z2-7]{8}$/);
    expect((await projects().createProject({ requestId })).project).toEqual(first.project);
  });

  it("is made from any display name, and its key set is found under its id", async () => {
    const { project: made } = await projects().createProject({
      project: { displayName: "Ein sehr langer Name ".repeat(5) },
    });
    const path = `/p/${made!.name.slice("projects/".length)}/.well-known/jwks.json`;
    const answer = await plane.control.jwksRoute({
      clientAddress: "",
      method: "GET",
      path,
      header: () => undefined,
      body: async () => "",
    });
    expect(answer?.status).toBe(200);
  });

  it("is seen by its own keys alone, and by operators", async () => {
    const seen = await plane.client(ProjectService, project.keys.viewer).listProjects({});
    expect(seen.projects.map(({ name }) => name)).toEqual(["projects/demo"]);
    const all = await projects().listProjects({ pageSize: 1 });
    expect(all.nextPageToken).not.toBe("");
  });

  it("with links stays; without them it goes with its keys", async () => {
    const doomed = await plane.makeProject("doomed");
    const link = await makeLink(plane, doomed.name);
    const failure = await failureOf(projects().deleteProject({ name: doomed.name }));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "RESOURCE_IN_USE" });
    expect(failure.message).toContain(link);
    await plane.client(LinkService).deleteLink({ name: link });
    await projects().deleteProject({ name: doomed.name });
    const late = plane.client(ProjectService, doomed.keys.owner).getProject({ name: doomed.name });
    expect((await failureOf(late)).code).toBe("Unauthenticated");
  });

  it.each(["X", "ab", "-abc", "a".repeat(41)])("is not called %j", async (projectId) => {
    expect((await failureOf(projects().createProject({ projectId }))).fields).toEqual(["project_id"]);
  });
});

describe("a link token", () => {
  const tokens = () => plane.client(LinkTokenService, project.keys.editor);

  it("is shown once, and then never again", async () => {
    const parent = await makeLink(plane, project.name);
    const request = { parent, linkToken: { displayName: "App" }, requestId: crypto.randomUUID() };
    const { linkToken } = await tokens().createLinkToken(request);
    expect(isTokenOf("linkToken", linkToken!.token)).toBe(true);
    const again = await tokens().createLinkToken(request);
    expect(again.linkToken).toMatchObject({ name: linkToken!.name, token: "" });
    expect((await tokens().getLinkToken({ name: linkToken!.name })).linkToken!.token).toBe("");
    expect((await tokens().listLinkTokens({ parent })).linkTokens.map(({ token }) => token)).toEqual([""]);
  });

  it.each([
    ["link_token.allowed_origins[0]", { allowedOrigins: ["https://app.example/"] }],
    ["link_token.allowed_origins[1]", { allowedOrigins: ["https://app.example", "*"] }],
    ["link_token.allowed_addresses[0]", { allowedAddresses: ["10.0.0.0/33"] }],
    ["link_token.expire_time", { expireTime: timestampFromMs(1) }],
  ])("names %s when it is wrong", async (field, linkToken) => {
    const parent = await makeLink(plane, project.name);
    expect((await failureOf(tokens().createLinkToken({ parent, linkToken }))).fields).toEqual([field]);
    const { linkToken: made } = await tokens().createLinkToken({ parent, linkToken: {} });
    const update = tokens().updateLinkToken({ linkToken: { name: made!.name, ...linkToken } });
    expect((await failureOf(update)).fields).toEqual([field]);
  });

  it("expires by the clock and can still be renamed", async () => {
    const parent = await makeLink(plane, project.name);
    const expireTime = timestampFromMs(plane.clock.now() + 1000);
    const { linkToken } = await tokens().createLinkToken({ parent, linkToken: { expireTime } });
    expect(linkToken!.state).toBe(LinkToken_State.ACTIVE);
    plane.clock.advance(1000);
    const { linkToken: late } = await tokens().updateLinkToken({
      linkToken: { name: linkToken!.name, displayName: "Old" },
    });
    expect(late).toMatchObject({ displayName: "Old", state: LinkToken_State.EXPIRED });
  });

  it("is deleted with its etag", async () => {
    const parent = await makeLink(plane, project.name);
    const { linkToken } = await tokens().createLinkToken({ parent, linkToken: {} });
    const { name } = linkToken!;
    expect((await failureOf(tokens().deleteLinkToken({ name, etag: '"x"' }))).reason).toBe("ETAG_MISMATCH");
    await tokens().deleteLinkToken({ name, etag: linkToken!.etag });
    expect((await failureOf(tokens().deleteLinkToken({ name }))).code).toBe("NotFound");
  });
});

describe("an API key", () => {
  const keys = (credential = project.keys.owner) => plane.client(ApiKeyService, credential);
  const parent = "projects/demo";

  it("is shown once and recognised by its first characters", async () => {
    const request = { parent, apiKey: { role: Role.MINTER, displayName: "Backend" }, requestId: crypto.randomUUID() };
    const { apiKey } = await keys().createApiKey(request);
    expect(isTokenOf("apiKey", apiKey!.key)).toBe(true);
    expect(apiKey!.key.startsWith(apiKey!.keyHint)).toBe(true);
    expect(apiKey!.keyHint).toHaveLength(11);
    expect((await keys().createApiKey(request)).apiKey!.key).toBe("");
    const { apiKeys } = await keys().listApiKeys({ parent });
    expect(apiKeys.every(({ key }) => key === "")).toBe(true);
  });

  it.each([
    ["api_key.role", { parent, apiKey: {} }],
    ["api_key.role", { parent, apiKey: { role: Role.OPERATOR } }],
    ["api_key.role", { parent: "", apiKey: { role: Role.OWNER } }],
    ["api_key.expire_time", { parent, apiKey: { role: Role.VIEWER, expireTime: timestampFromMs(0) } }],
    ["api_key_id", { parent, apiKeyId: "A", apiKey: { role: Role.VIEWER } }],
  ])("names %s when it is wrong", async (field, request) => {
    expect((await failureOf(keys(plane.operatorKey).createApiKey(request))).fields).toEqual([field]);
  });

  it("keeps its role; its name and expiry change", async () => {
    const { apiKey } = await keys().createApiKey({ parent, apiKey: { role: Role.VIEWER } });
    const { name } = apiKey!;
    const raised = keys().updateApiKey({ apiKey: { name, role: Role.OWNER } });
    expect((await failureOf(raised)).fields).toEqual(["api_key.role"]);
    const expireTime = timestampFromMs(plane.clock.now() + 60_000);
    const { apiKey: timed } = await keys().updateApiKey({ apiKey: { name, role: Role.VIEWER, expireTime } });
    expect(timed!.expireTime).toEqual(expireTime);
    const updateMask = { paths: ["expire_time"] };
    const { apiKey: lasting } = await keys().updateApiKey({ apiKey: { name }, updateMask });
    expect(lasting!.expireTime).toBeUndefined();
  });
});
