import { ISSUER_PRESETS, type IssuerPreset } from "../model/issuer-presets.ts";
import { type Output, printTable } from "./output.ts";

/** `conduit issuer presets`: what to enter for the usual providers. `--markdown` prints the page of the docs. */
export function issuerPresets(
  { json, markdown }: { readonly json: boolean; readonly markdown?: boolean },
  output: Output,
): void {
  if (json) output.out(JSON.stringify(ISSUER_PRESETS));
  else if (markdown === true) output.out(presetsPage());
  else printTable(output, ["preset", "keys", "value", "audience"], ISSUER_PRESETS.map(toColumns), false);
}

const toColumns = ({ id, issuer, audience }: IssuerPreset) => ({
  preset: id,
  keys: "oidc_discovery" in issuer ? "oidc_discovery" : "jwks_url",
  value: "oidc_discovery" in issuer ? issuer.oidc_discovery : issuer.jwks_url,
  audience,
});

const HEAD = `# Issuers of the usual providers

What to enter for each, as \`conduit issuer presets\` prints it (\`--json\` for programs). Made from
\`src/model/issuer-presets.ts\` by \`conduit issuer presets --markdown\`; a test keeps both equal. Fill in what stands in
braces. The audience belongs to the link (\`audiences\`), everything else to the issuer.
`;

const presetsPage = (): string => [HEAD, ...ISSUER_PRESETS.map(sectionOf)].join("\n").trimEnd();

function sectionOf({ name, id, issuer, parameters, audience, note, documentation }: IssuerPreset): string {
  const fields = Object.entries(issuer).map(([field, value]) => `- \`${field}\`: ${shown(value)}`);
  const wanted = parameters.map((it) => `- \`{${it.name}}\`: ${it.where}, as \`${it.example}\``);
  return `## ${name} (\`${id}\`)\n\n${note}\n\n${[...fields, `- audience: ${audience}`, ...wanted].join("\n")}\n- <${documentation}>\n`;
}

const shown = (value: unknown): string =>
  Array.isArray(value) ? value.map((one) => `\`${String(one)}\``).join(", ") : `\`${String(value)}\``;
