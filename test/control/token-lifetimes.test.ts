import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { TokenService } from "@conduit-link/proto/conduit/v1/token_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ControlPlane, failureOf, makeLink, startControlPlane, type TestProject } from "./control-plane.ts";

const seconds = (count: number) => ({ seconds: BigInt(count) });

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

let made = 0;
/** A project with a link, its tokens' lifetimes set. */
async function makeProject(lifetimes: object = {}): Promise<{ project: TestProject; link: string }> {
  made += 1;
  const project = await plane.makeProject(`lifetimes-${made}`);
  const link = await makeLink(plane, project.name);
  const message = { name: project.name, ...lifetimes };
  if (Object.keys(lifetimes).length > 0) await plane.client(ProjectService).updateProject({ project: message });
  return { project, link };
}

const lifeOf = async ({ project, link }: { project: TestProject; link: string }, wanted?: number, key?: string) => {
  const lifetime = wanted === undefined ? {} : { lifetime: seconds(wanted) };
  const request = { parent: project.name, subject: "user-1", links: [link], ...lifetime };
  const { expiresIn } = await plane.client(TokenService, key ?? project.keys.minter).mintToken(request);
  return Number(expiresIn);
};

describe("a project", () => {
  it("has tokens of 15 minutes, of a day if asked for, without a word about it", async () => {
    const { project } = await makeProject();
    const { project: read } = await plane.client(ProjectService).getProject({ name: project.name });
    expect(read).toMatchObject({
      accessTokenLifetime: seconds(900),
      accessTokenLifetimeMax: seconds(86_400),
    });
  });

  it("says how long its tokens live", async () => {
    const own = await makeProject({ accessTokenLifetime: seconds(60), accessTokenLifetimeMax: seconds(120) });
    expect(await lifeOf(own)).toBe(60);
    expect(await lifeOf(own, 120)).toBe(120);
    const failure = await failureOf(lifeOf(own, 121));
    expect(failure).toMatchObject({ fields: ["lifetime"], message: expect.stringContaining("120 s for this project") });
  });

  it("with a short most has a default that fits", async () => {
    const update = { accessTokenLifetime: seconds(60), accessTokenLifetimeMax: seconds(30) };
    const { project } = await makeProject();
    const call = plane.client(ProjectService).updateProject({ project: { name: project.name, ...update } });
    expect((await failureOf(call)).fields).toEqual(["project.access_token_lifetime"]);
    const created = await plane
      .client(ProjectService)
      .createProject({ projectId: "short-lived", project: { accessTokenLifetimeMax: seconds(30) } });
    expect(created.project).toMatchObject({ accessTokenLifetime: seconds(30), accessTokenLifetimeMax: seconds(30) });
  });

  it.each([0, 86_401])("cannot say %i s", async (count) => {
    const { project } = await makeProject();
    for (const field of ["accessTokenLifetime", "accessTokenLifetimeMax"]) {
      const message = { name: project.name, [field]: seconds(count) };
      expect((await failureOf(plane.client(ProjectService).updateProject({ project: message }))).code).toBe(
        "InvalidArgument",
      );
    }
  });

  it("is told how to by an owner, not by an editor", async () => {
    const { project } = await makeProject();
    const message = { name: project.name, accessTokenLifetime: seconds(60) };
    const call = (key: string) => plane.client(ProjectService, key).updateProject({ project: message });
    expect((await failureOf(call(project.keys.editor))).reason).toBe("PERMISSION_MISSING");
    expect((await call(project.keys.owner)).project).toMatchObject({ accessTokenLifetime: seconds(60) });
  });
});

describe("an API key", () => {
  it("may be held to shorter ones, default included", async () => {
    const own = await makeProject();
    const keys = plane.client(ApiKeyService);
    const apiKey = { role: Role.MINTER, tokenLifetimeMax: seconds(100) };
    const { apiKey: created } = await keys.createApiKey({ parent: own.project.name, apiKeyId: "held", apiKey });
    expect(created).toMatchObject({ tokenLifetimeMax: seconds(100) });
    expect(await lifeOf(own, undefined, created?.key)).toBe(100);
    expect(await lifeOf(own, 99, created?.key)).toBe(99);
    const failure = await failureOf(lifeOf(own, 101, created?.key));
    expect(failure).toMatchObject({ fields: ["lifetime"], message: expect.stringContaining("100 s for this API key") });
  });

  it("cannot have longer ones than the project", async () => {
    const own = await makeProject({ accessTokenLifetime: seconds(60), accessTokenLifetimeMax: seconds(60) });
    const apiKey = { role: Role.MINTER, tokenLifetimeMax: seconds(3600) };
    const { apiKey: created } = await plane.client(ApiKeyService).createApiKey({ parent: own.project.name, apiKey });
    expect((await failureOf(lifeOf(own, 61, created?.key))).message).toContain("60 s for this project");
  });

  it("can be changed, from the next token on", async () => {
    const own = await makeProject();
    const keys = plane.client(ApiKeyService);
    const parent = own.project.name;
    const { apiKey: created } = await keys.createApiKey({ parent, apiKeyId: "later", apiKey: { role: Role.MINTER } });
    const name = `${parent}/apiKeys/later`;
    await keys.updateApiKey({ apiKey: { name, role: Role.MINTER, tokenLifetimeMax: seconds(10) } });
    expect(await lifeOf(own, undefined, created?.key)).toBe(10);
    await keys.updateApiKey({ apiKey: { name }, updateMask: { paths: ["token_lifetime_max"] } });
    expect(await lifeOf(own, undefined, created?.key)).toBe(900);
  });
});

describe("sessions", () => {
  const open = ({ project, link }: { project: TestProject; link: string }, session: object = {}) =>
    plane
      .client(TokenService, project.keys.minter)
      .mintToken({ parent: project.name, subject: "user-1", links: [link], session });
  const DAY = 86_400;
  const idle = (count: number) => ({ idleLifetime: seconds(count) });
  const absolute = (count: number) => ({ absoluteLifetime: seconds(count) });
  /** Whether its refresh token still counts after so long without a refresh. */
  const livesFor = async (opened: Awaited<ReturnType<typeof open>>, count: number): Promise<boolean> => {
    plane.clock.advance(count * 1000);
    const { refreshToken } = opened;
    return plane
      .client(TokenService, null)
      .refreshToken({ refreshToken })
      .then(
        () => true,
        () => false,
      );
  };

  it("live 7 and 30 days unless the project says otherwise", async () => {
    const { project } = await makeProject();
    const { project: read } = await plane.client(ProjectService).getProject({ name: project.name });
    const expected = { sessionIdleLifetime: seconds(7 * DAY), sessionAbsoluteLifetime: seconds(30 * DAY) };
    expect(read).toMatchObject(expected);
  });

  it.each([
    ["shorter than usual", 60, 120],
    ["longer than usual", 90 * DAY, 366 * DAY],
  ])("live as long as their project says, and no longer: %s", async (_what, idleMax, absoluteMax) => {
    const lifetimes = { sessionIdleLifetime: seconds(idleMax), sessionAbsoluteLifetime: seconds(absoluteMax) };
    const own = await makeProject(lifetimes);
    expect(await livesFor(await open(own), idleMax - 1)).toBe(true);
    expect(await livesFor(await open(own), idleMax)).toBe(false);
    expect(await livesFor(await open(own, { ...idle(idleMax), ...absolute(30) }), 30)).toBe(false);
    const failure = await failureOf(open(own, { ...idle(idleMax + 1), ...absolute(absoluteMax + 1) }));
    expect(failure).toMatchObject({ fields: expect.arrayContaining(["session.idle_lifetime"]) });
    expect(failure.fields).toContain("session.absolute_lifetime");
  });

  it("cannot be allowed to idle for longer than they live", async () => {
    const { project } = await makeProject({ sessionIdleLifetime: seconds(60), sessionAbsoluteLifetime: seconds(60) });
    const call = plane
      .client(ProjectService)
      .updateProject({ project: { name: project.name, sessionIdleLifetime: seconds(61) } });
    expect((await failureOf(call)).fields).toEqual(["project.session_idle_lifetime"]);
  });
});
