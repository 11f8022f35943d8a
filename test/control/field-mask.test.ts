import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { IssuerSchema } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { LinkSchema } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { describe, expect, it } from "vitest";
import { applyMask } from "../../server/src/control/field-mask.ts";

const current = create(LinkSchema, {
  name: "projects/p/links/l",
  etag: '"1"',
  displayName: "Old",
  sharedCache: true,
  upstream: { baseUrl: "https://a.example", allowPrivate: true },
  rules: [{ path: "/a", methods: ["GET"] }],
});
const masked = (wanted: Parameters<typeof create<typeof LinkSchema>>[1], paths?: string[]) =>
  applyMask(LinkSchema, current, create(LinkSchema, wanted), paths && create(FieldMaskSchema, { paths }));

describe("without a mask", () => {
  it("only what is set changes, in single messages field by field, in lists as a whole", () => {
    const { message, touched } = masked({ upstream: { baseUrl: "https://b.example" }, rules: [{ path: "/b" }] });
    expect(message).toMatchObject({
      displayName: "Old",
      sharedCache: true,
      upstream: { baseUrl: "https://b.example", allowPrivate: true },
      rules: [{ path: "/b", methods: [] }],
    });
    expect([...touched]).toEqual(["upstream", "rules"]);
  });

  it("an empty mask is none", () => {
    expect(masked({ displayName: "New" }, []).message.displayName).toBe("New");
  });
});

describe("with a mask", () => {
  it("fields that are not set are cleared", () => {
    const { message } = masked({}, ["display_name", "upstream.allow_private", "rules"]);
    expect(message).toMatchObject({ displayName: "", upstream: { baseUrl: "https://a.example", allowPrivate: false } });
    expect(message.rules).toEqual([]);
  });

  it("* is every field but those the server writes", () => {
    const { message } = masked({ name: "other", etag: '"2"', displayName: "New" }, ["*"]);
    expect(message).toMatchObject({ name: current.name, etag: '"1"', displayName: "New", sharedCache: false });
    expect(message.upstream).toBeUndefined();
  });

  it.each(["nope", "displayName", "rules.path", "upstream.", "", "name.x"])("%j is refused", (path) => {
    expect(() => masked({}, [path])).toThrow(/update_mask: Link has no field/);
  });

  it("what cannot be the name of a field is not repeated in the text", () => {
    expect(() => masked({}, ["<script>"])).toThrow(/has no field$/);
  });
});

it("a chosen member of a oneof replaces another, and clearing an unchosen one leaves it", () => {
  const hs256 = create(IssuerSchema, { keys: { case: "hs256", value: { secret: "projects/p/secrets/s" } } });
  const jwks = create(IssuerSchema, { keys: { case: "jwksUrl", value: "https://a.example" } });
  const star = create(FieldMaskSchema, { paths: ["*"] });
  expect(applyMask(IssuerSchema, hs256, jwks, undefined).message.keys).toEqual(jwks.keys);
  expect(applyMask(IssuerSchema, hs256, jwks, star).message.keys).toEqual(jwks.keys);
  expect(applyMask(IssuerSchema, jwks, hs256, star).message.keys.case).toBe("hs256");
  const other = create(FieldMaskSchema, { paths: ["jwks_url"] });
  expect(applyMask(IssuerSchema, hs256, create(IssuerSchema), other).message.keys.case).toBe("hs256");
});

it("neither message is changed", () => {
  const wanted = create(LinkSchema, { upstream: { baseUrl: "https://b.example" } });
  const { message } = applyMask(LinkSchema, current, wanted, undefined);
  message.upstream!.baseUrl = "changed";
  expect([current.upstream!.baseUrl, wanted.upstream!.baseUrl]).toEqual(["https://a.example", "https://b.example"]);
});
