import { readFileSync } from "node:fs";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { IssuerSchema } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { expect, test } from "vitest";
import { run } from "../../server/src/main.ts";
import { ISSUER_PRESETS, type IssuerPreset } from "../../server/src/model/issuer-presets.ts";
import { checkIssuer } from "../../server/src/policy/issuer-check.ts";
import { issuerFromProto } from "../../server/src/wire/issuer.ts";

async function printed(...args: string[]) {
  const lines: string[] = [];
  const output = { out: (text: string) => lines.push(text), err: (text: string) => lines.push(text) };
  expect(await run(["issuer", "presets", ...args], output)).toBe(0);
  return lines.join("\n");
}

/** The issuer with the examples filled in. */
function filledIn({ issuer, parameters }: IssuerPreset): JsonObject {
  let text = JSON.stringify(issuer);
  for (const { name, example } of parameters) text = text.replaceAll(`{${name}}`, example);
  return JSON.parse(text) as JsonObject;
}

test.each(ISSUER_PRESETS)("$name: with its examples it is an issuer the API takes", (preset) => {
  const json = filledIn(preset);
  expect(JSON.stringify(json)).not.toMatch(/\{\w+\}/);
  const issuer = issuerFromProto(fromJson(IssuerSchema, json));
  expect(checkIssuer(issuer)).toEqual([]);
  expect(issuer.iss).toMatch(/^https:/);
});

test("Firebase and Google take ID tokens, Cognito's audience is client_id, and nobody else's is unusual", () => {
  const idsWith = (field: string) => ISSUER_PRESETS.filter(({ issuer }) => field in issuer).map(({ id }) => id);
  expect(idsWith("accept_id_tokens")).toEqual(["firebase", "google"]);
  expect(idsWith("audience_claim")).toEqual(["cognito"]);
});

test("the command prints a table, and JSON for programs", async () => {
  expect(await printed()).toMatch(/^PRESET +KEYS +VALUE +AUDIENCE\nauth0 +oidc_discovery +https:\/\/\{domain\}\//);
  expect(JSON.parse(await printed("--json"))).toEqual(ISSUER_PRESETS);
});

test("server/ISSUERS.md is what the command prints", async () => {
  const page = readFileSync(new URL("../../server/ISSUERS.md", import.meta.url), "utf8");
  expect(page, "run: conduit issuer presets --markdown > server/ISSUERS.md").toBe(`${await printed("--markdown")}\n`);
});
