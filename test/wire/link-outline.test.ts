import { create, toBinary } from "@bufbuild/protobuf";
import { LinkConfigSchema } from "@conduit-link/proto/conduit/v1/config_service_pb";
import { expect, test } from "vitest";
import { ConduitError } from "../../server/src/model/errors.ts";
import { encodeConfigResource } from "../../server/src/wire/config.ts";
import { readLinkOutline } from "../../server/src/wire/link-outline.ts";
import { linkOf } from "../proxy/harness.ts";

const encode = (changes: Parameters<typeof linkOf>[1]): Uint8Array => {
  const link = linkOf("https://api.example/ü", changes);
  const keyHash = "00".repeat(32);
  return encodeConfigResource({ kind: "link", name: link.name, link, debugKeys: [{ keyHash, expireTimeMs: 1_000 }] });
};

test("the outline of a payload is what the whole of it says", () => {
  const plain = readLinkOutline(encode({}));
  expect(plain).toEqual({
    name: "projects/demo/links/demo-link",
    issuers: ["projects/demo/issuers/app"],
    secrets: ["projects/demo/secrets/key"],
    identityAssertion: false,
  });
  const rich = encode({
    issuers: ["projects/demo/issuers/a", "projects/demo/issuers/b"],
    injections: [
      { kind: "bearer", secret: "projects/demo/secrets/x" },
      { kind: "header", name: "X-Key", prefix: "Key ", secret: "projects/demo/secrets/y" },
    ],
    tokenClaims: { nested: { list: [1, "two", null] } },
    identityAssertion: true,
    maxConfigAgeMs: 60_000,
  });
  expect(readLinkOutline(rich)).toEqual({
    ...plain,
    issuers: ["projects/demo/issuers/a", "projects/demo/issuers/b"],
    secrets: ["projects/demo/secrets/x", "projects/demo/secrets/y"],
    identityAssertion: true,
  });
  expect(readLinkOutline(encode({ issuers: [], injections: [] }))).toMatchObject({ issuers: [], secrets: [] });
  expect(readLinkOutline(toBinary(LinkConfigSchema, create(LinkConfigSchema)))).toMatchObject({ name: "" });
});

test("bytes that are no message are refused, whatever they are", () => {
  const whole = encode({});
  for (let length = 1; length < whole.length; length += 1) {
    const cut = whole.subarray(0, length);
    // What is cut between two fields is a message.
    try {
      readLinkOutline(cut);
    } catch (cause) {
      expect([length, cause]).toEqual([length, expect.any(ConduitError)]);
    }
  }
  for (const bytes of [[0xff], [10, 0x7f], [10, 2, 0x32, 0x7f], [10, 1, 10], [0, 0]])
    expect(() => readLinkOutline(new Uint8Array(bytes))).toThrow(ConduitError);
});
