import { LinkService } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
const fresh = () => makeLink(plane, project.name);

describe("a request id", () => {
  it("makes a retry answer with the link as it is now", async () => {
    const request = { parent: project.name, link: PLAIN_LINK, requestId: crypto.randomUUID() };
    const first = await links().createLink(request);
    await links().updateLink({ link: { name: first.link!.name, displayName: "Renamed" } });
    const again = await links().createLink(request);
    expect(again.link).toMatchObject({ name: first.link!.name, displayName: "Renamed" });
  });

  it("is refused with another request, and is another caller's own", async () => {
    const requestId = crypto.randomUUID();
    await links().createLink({ parent: project.name, link: PLAIN_LINK, requestId });
    const changed = { parent: project.name, link: { ...PLAIN_LINK, displayName: "Other" }, requestId };
    expect(await failureOf(links().createLink(changed))).toMatchObject({
      code: "InvalidArgument",
      reason: "REQUEST_ID_REUSED",
    });
    await links(project.keys.owner).createLink(changed);
  });

  it("lapses after a day, and never makes two of a burst", async () => {
    const request = { parent: project.name, link: PLAIN_LINK, requestId: crypto.randomUUID() };
    const burst = await Promise.all(Array.from({ length: 5 }, () => links().createLink(request)));
    expect(new Set(burst.map(({ link }) => link!.name)).size).toBe(1);
    plane.clock.advance(24 * 3_600_000);
    expect((await links().createLink(request)).link!.name).not.toBe(burst[0]!.link!.name);
  });

  it("must be a UUID", async () => {
    const call = links().createLink({ parent: project.name, link: PLAIN_LINK, requestId: "once" });
    expect((await failureOf(call)).fields).toEqual(["request_id"]);
  });

  it("answers not found when what it made is gone", async () => {
    const request = { parent: project.name, link: PLAIN_LINK, requestId: crypto.randomUUID() };
    await links().deleteLink({ name: (await links().createLink(request)).link!.name });
    expect((await failureOf(links().createLink(request))).code).toBe("NotFound");
  });
});

describe("a list", () => {
  it("walks over all links once, by id, in pages of the size asked for", async () => {
    const parent = (await plane.makeProject("paged")).name;
    const made = await Promise.all(
      ["delta", "alpha", "bravo", "charlie", "echoo"].map((id) => makeLink(plane, parent, id)),
    );
    const seen: string[] = [];
    let pageToken = "";
    for (let page = 0; page < 10 && (page === 0 || pageToken !== ""); page += 1) {
      const answer = await plane.client(LinkService).listLinks({ parent, pageSize: 2, pageToken });
      expect(answer.links.length).toBeLessThanOrEqual(2);
      seen.push(...answer.links.map(({ name }) => name));
      pageToken = answer.nextPageToken;
    }
    expect(seen).toEqual(made.toSorted());
    expect(pageToken).toBe("");
  });

  it("takes 500 for more, and refuses less than nothing", async () => {
    await links().listLinks({ parent: project.name, pageSize: 100_000 });
    const call = links().listLinks({ parent: project.name, pageSize: -1 });
    expect((await failureOf(call)).fields).toEqual(["page_size"]);
  });

  it("takes its page token from the same caller, parent and method only", async () => {
    await fresh();
    await fresh();
    const { nextPageToken: pageToken } = await links().listLinks({ parent: project.name, pageSize: 1 });
    const refused = { code: "InvalidArgument", reason: "PAGE_TOKEN_INVALID" };
    const tampered = `${pageToken.startsWith("A") ? "B" : "A"}${pageToken.slice(1)}`;
    for (const attempt of [
      links(project.keys.owner).listLinks({ parent: project.name, pageToken }),
      plane.client(LinkService, other.keys.editor).listLinks({ parent: other.name, pageToken }),
      plane.client(SecretService, project.keys.editor).listSecrets({ parent: project.name, pageToken }),
      links().listLinks({ parent: project.name, pageToken: tampered }),
      links().listLinks({ parent: project.name, pageToken: "x" }),
    ])
      expect(await failureOf(attempt)).toMatchObject(refused);
  });

  it("of a project that is not there is not found", async () => {
    expect((await failureOf(plane.client(LinkService).listLinks({ parent: "projects/nowhere" }))).code).toBe(
      "NotFound",
    );
  });
});
