import { LinkService, LinkTokenMode, UserTokenMode } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
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

describe("CreateLink", () => {
  it("answers with the link, its defaults filled in, and the sequence of the change", async () => {
    const answer = await links().createLink({
      parent: project.name,
      link: { ...PLAIN_LINK, displayName: "Wetter-API (v2)" },
    });
    expect(answer.link?.name).toMatch(/^projects\/demo\/links\/wetter-api-v2-[a-z2-7]{8}$/);
    expect(answer.link).toMatchObject({
      linkTokenMode: LinkTokenMode.REQUIRED,
      userTokenMode: UserTokenMode.OFF,
      forwardUserToken: "OFF",
      limits: [{ name: "per-user", requests: 60n, burst: 20n }],
      claimHeaders: [{ claim: "sub", header: "X-User-ID" }],
    });
    expect(answer.link?.etag).toMatch(/^".+"$/);
    expect(answer.configSequence).toBeGreaterThan(0n);
  });
});
