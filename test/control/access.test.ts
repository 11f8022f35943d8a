import { create, type DescMethod } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { ProxyService } from "@conduit-link/proto/conduit/v1/proxy_service_pb";
import { createContextValues } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { identify, textAt } from "../../server/src/control/access.ts";
import { type Access, PERMISSIONS } from "../../server/src/control/permissions.ts";
import { hasRole, type Role as RoleName } from "../../server/src/model/api-key.ts";
import { ConduitError } from "../../server/src/model/errors.ts";
import { generateToken } from "../../server/src/model/token-string.ts";
import { systemRandom } from "../../server/src/random.ts";
import {
  type ControlPlane,
  callAny,
  failureOf,
  makeLink,
  startControlPlane,
  type TestProject,
} from "./control-plane.ts";
import { methods, requestFor, rows } from "./methods.ts";

const guarded = rows.filter(([, , row]) => row?.by !== "nothing");
const inProject = rows.filter(([, , row]) => row?.by === "api_key" && row.project !== undefined);

let plane: ControlPlane;
let project: TestProject;
let other: TestProject;
beforeAll(async () => {
  plane = await startControlPlane();
  project = await plane.makeProject("demo");
  other = await plane.makeProject("other");
});
afterAll(() => plane[Symbol.asyncDispose]());

const call = (method: DescMethod, row: Access | undefined, credential: string | null, name = "projects/demo/x/y") =>
  failureOf(callAny(plane, method, requestFor(method, row, name), credential));

describe("the permission table", () => {
  it("was compared with the services there are", () => {
    expect(methods.length).toBeGreaterThan(35);
  });

  it("has a row for every method, and no row without a method", () => {
    expect(Object.keys(PERMISSIONS).sort()).toEqual(rows.map(([id]) => id).sort());
  });

  it("names a project field that the request has", () => {
    for (const [, method, row] of inProject)
      if (row?.by === "api_key") expect(textAt(method.input, create(method.input), row.project ?? "")).toBe("");
  });

  it("lets nothing but contract.md 9's list be called without a credential", () => {
    const open = rows.filter(([, , row]) => row?.by === "nothing").map(([id]) => id);
    expect(open.sort()).toEqual([
      "conduit.v1.ProxyService/JoinProxy",
      "conduit.v1.TokenService/RefreshToken",
      "grpc.health.v1.Health/Check",
      "grpc.health.v1.Health/Watch",
    ]);
  });
});

describe.each(guarded)("%s", (_id, method, row) => {
  it("refuses a call without a credential, with garbage, an unknown key or another kind of token", async () => {
    const unknown = generateToken("apiKey", systemRandom).reveal();
    const linkToken = generateToken("linkToken", systemRandom).reveal();
    const wrongKind = row?.by === "proxy_credential" ? plane.operatorKey : linkToken;
    for (const credential of [null, "garbage", unknown, linkToken, wrongKind]) {
      const failure = await call(method, row, credential);
      expect(failure).toMatchObject({ code: "Unauthenticated", reason: "CREDENTIAL_INVALID", fields: [] });
    }
  });
});

describe("a key", () => {
  it("past its expiry is refused by every method", async () => {
    const { apiKey } = await plane.client(ApiKeyService).createApiKey({
      apiKey: { role: Role.OPERATOR, expireTime: timestampFromMs(plane.clock.now() + 60_000) },
    });
    plane.clock.advance(59_999);
    const [, method, row] = inProject[0]!;
    expect((await call(method, row, apiKey!.key)).code).not.toBe("Unauthenticated");
    plane.clock.advance(1);
    for (const [, one, oneRow] of guarded) expect((await call(one, oneRow, apiKey!.key)).code).toBe("Unauthenticated");
  });

  it("that was deleted is refused at once", async () => {
    const { apiKey } = await plane.client(ApiKeyService).createApiKey({ apiKey: { role: Role.OPERATOR } });
    const mine = plane.client(ApiKeyService, apiKey!.key);
    await mine.deleteApiKey({ name: apiKey!.name });
    expect((await failureOf(mine.getApiKey({ name: apiKey!.name }))).code).toBe("Unauthenticated");
  });

  it.each(inProject)(
    "of another project gets not found from %s, whatever its role and the request",
    async (_id, method, row) => {
      for (const key of Object.values(other.keys))
        for (const name of ["projects/demo", "projects/demo/links/x", "projects/demo/nonsense/&"])
          expect(await call(method, row, key, name)).toMatchObject({ code: "NotFound", reason: "RESOURCE_NOT_FOUND" });
    },
  );

  it.each(rows.filter(([, , row]) => row?.by === "api_key"))(
    "of a lower role is refused by %s",
    async (_id, method, row) => {
      for (const [role, key] of Object.entries(project.keys)) {
        if (row?.by !== "api_key" || hasRole(role as RoleName, row.role)) continue;
        expect(await call(method, row, key)).toMatchObject({ code: "PermissionDenied", reason: "PERMISSION_MISSING" });
      }
    },
  );

  it("of a project does not see the installation's keys", async () => {
    const keys = plane.client(ApiKeyService, project.keys.owner);
    const { apiKeys } = await plane.client(ApiKeyService).listApiKeys({});
    for (const attempt of [
      keys.listApiKeys({ parent: "" }),
      keys.getApiKey({ name: apiKeys[0]!.name }),
      keys.deleteApiKey({ name: apiKeys[0]!.name }),
      keys.createApiKey({ apiKey: { role: Role.OPERATOR } }),
    ])
      expect((await failureOf(attempt)).code).toBe("NotFound");
  });
});

describe("names of two projects in one call", () => {
  it("do not reach a token of another project's link through one's own project", async () => {
    const link = await makeLink(plane, other.name, "other-link");
    const { linkToken } = await plane.client(LinkTokenService).createLinkToken({ parent: link, linkToken: {} });
    const foreign = linkToken!.name.replace("projects/other/", "projects/demo/");
    const tokens = plane.client(LinkTokenService, project.keys.owner);
    for (const attempt of [
      tokens.getLinkToken({ name: foreign }),
      tokens.deleteLinkToken({ name: foreign }),
      tokens.updateLinkToken({ linkToken: { name: foreign, displayName: "mine" } }),
      tokens.createLinkToken({ parent: "projects/demo/links/other-link", linkToken: {} }),
      tokens.listLinkTokens({ parent: "projects/demo/links/other-link" }),
    ])
      expect((await failureOf(attempt)).code).toBe("NotFound");
  });
});

describe("what is not in the table", () => {
  it("asks for a credential before it is known not to be there", async () => {
    const unknown = { name: "NoMethod", parent: { typeName: "conduit.v1.NoService" } } as DescMethod;
    const refuse = {
      apiKey: async () => Promise.reject(new ConduitError("credential_invalid")),
      proxy: async () => ({ proxy: "", credentialHash: "", isCredentialDue: false }),
    };
    await expect(identify(refuse, unknown, new Headers(), createContextValues())).rejects.toThrow("credential_invalid");
    await expect(plane.control.authenticate(new Headers())).rejects.toThrow("credential_invalid");
    const header = new Headers({ authorization: `Bearer ${project.keys.viewer}` });
    await expect(plane.control.authenticate(header)).resolves.toBeUndefined();
  });
});

describe("a proxy's credential", () => {
  it("is good for ConfigService and for nothing else", async () => {
    const { joinToken } = await plane.client(ProxyService).createJoinToken({});
    const { credential } = await plane.client(ProxyService, null).joinProxy({ joinToken });
    for (const [, method, row] of guarded) {
      const isConfig = row?.by === "proxy_credential";
      if (!isConfig) expect((await call(method, row, credential)).code).toBe("Unauthenticated");
    }
  });
});
