import { ApiKeyService, Role } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { IssuerService } from "@conduit-link/proto/conduit/v1/issuer_service_pb";
import { DebugMode, type Link, LinkService, LinkTokenMode } from "@conduit-link/proto/conduit/v1/link_service_pb";
import { LinkTokenService } from "@conduit-link/proto/conduit/v1/link_token_service_pb";
import { ProjectService } from "@conduit-link/proto/conduit/v1/project_service_pb";
import { SecretService } from "@conduit-link/proto/conduit/v1/secret_service_pb";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { IDENTITY_HEADERS } from "../model/link.ts";
import { idOf } from "../model/resource-name.ts";
import type { SecretText } from "../model/secret-text.ts";
import { DEMO_KEY_HEADER } from "./demo-upstream.ts";
import type { DevFile } from "./dev-file.ts";

const PROJECT_ID = "demo";
const PROJECT = `projects/${PROJECT_ID}`;
const ISSUER = `${PROJECT}/issuers/hs256`;
const BUILT_IN_ISSUER = `${PROJECT}/issuers/built-in`;
const UPSTREAM_KEY = `${PROJECT}/secrets/upstream-key`;
const HS256_SECRET = `${PROJECT}/secrets/hs256`;
/** `iss` of the HS256 issuer. */
const ISS = "conduit-demo";
/** By these names what `dev` made is found again. */
const LINK_TITLES = { link: "Demo", openLink: "Demo open" } as const;
const API_KEY_TITLE = "conduit dev";

/** What the demo is made with. */
export interface DemoWish {
  /** As an operator. */
  readonly transport: Transport;
  readonly upstreamUrl: string;
  /** New at each start: nobody else needs it. */
  readonly upstreamKey: SecretText;
  /** dev.json of the start before, if it is there. */
  readonly previous: DevFile | undefined;
  /** A HS256 secret and only used without `previous`. */
  readonly newHs256Secret: () => SecretText;
  /** Whether a key from `previous` is still accepted. */
  readonly isApiKeyValid: (key: string) => Promise<boolean>;
}

/** What of dev.json lies in the database. */
export type DemoFacts = Pick<
  DevFile,
  | "api_key"
  | "project"
  | "link"
  | "link_id"
  | "link_token"
  | "open_link_id"
  | "issuer"
  | "iss"
  | "hs256_secret"
  | "built_in_iss"
>;

/** Makes the demo project, or brings an earlier one up to date; without dev.json its credentials are replaced. */
export async function ensureDemo(wish: DemoWish): Promise<DemoFacts> {
  const { transport } = wish;
  const projects = createClient(ProjectService, transport);
  const found = await orUndefined(projects.getProject({ name: PROJECT }));
  const project =
    found?.project ??
    (await projects.createProject({ projectId: PROJECT_ID, project: { displayName: "Demo" } })).project;
  // Beside a new database an old dev.json means nothing.
  const previous = found === undefined ? undefined : wish.previous;
  const hs256Secret = previous?.hs256_secret ?? wish.newHs256Secret().reveal();
  const secrets = createClient(SecretService, transport);
  await setSecret(secrets, UPSTREAM_KEY, wish.upstreamKey.reveal());
  if (previous === undefined) await setSecret(secrets, HS256_SECRET, hs256Secret);
  await ensureIssuer(createClient(IssuerService, transport));
  const links = createClient(LinkService, transport);
  const link = await ensureLink(links, LINK_TITLES.link, LinkTokenMode.REQUIRED, wish.upstreamUrl);
  const openLink = await ensureLink(links, LINK_TITLES.openLink, LinkTokenMode.OFF, wish.upstreamUrl);
  return {
    api_key: await ensureApiKey(createClient(ApiKeyService, transport), previous, wish),
    project: PROJECT,
    link,
    link_id: idOf(link),
    link_token: previous?.link_token ?? (await newLinkToken(createClient(LinkTokenService, transport), link)),
    open_link_id: idOf(openLink),
    issuer: ISSUER,
    iss: ISS,
    hs256_secret: hs256Secret,
    built_in_iss: project?.issuer ?? "",
  };
}

async function orUndefined<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}

async function setSecret(secrets: Client<typeof SecretService>, name: string, value: string): Promise<void> {
  const found = await orUndefined(secrets.getSecret({ name }));
  if (found === undefined) await secrets.createSecret({ parent: PROJECT, secretId: idOf(name), secret: { value } });
  else await secrets.updateSecret({ secret: { name, value }, updateMask: { paths: ["value"] } });
}

async function ensureIssuer(issuers: Client<typeof IssuerService>): Promise<void> {
  if ((await orUndefined(issuers.getIssuer({ name: ISSUER }))) !== undefined) return;
  await issuers.createIssuer({
    parent: PROJECT,
    issuerId: idOf(ISSUER),
    issuer: {
      displayName: "Demo users",
      iss: ISS,
      keys: { case: "hs256", value: { secret: HS256_SECRET } },
      // No grace: who tries an expired token sees it refused.
      expLeeway: { seconds: 0n, nanos: 0 },
    },
  });
}

/** The demo links by their title; the upstream's port may be another one than last time. */
async function ensureLink(
  links: Client<typeof LinkService>,
  title: string,
  mode: LinkTokenMode,
  baseUrl: string,
): Promise<string> {
  const upstream = { baseUrl, allowPrivate: true };
  const found = await findByTitle((pageToken) => pageOfLinks(links, pageToken), title);
  if (found === undefined) {
    const created = await links.createLink({
      parent: PROJECT,
      link: { ...demoPolicy, displayName: title, linkTokenMode: mode, upstream },
    });
    return created.link?.name ?? "";
  }
  if (found.upstream?.baseUrl !== baseUrl)
    await links.updateLink({ link: { name: found.name, upstream }, updateMask: { paths: ["upstream.base_url"] } });
  return found.name;
}

const pageOfLinks = async (links: Client<typeof LinkService>, pageToken: string): Promise<Page<Link>> => {
  const { links: rows, nextPageToken } = await links.listLinks({ parent: PROJECT, pageToken });
  return { rows, nextPageToken };
};

interface Page<Row> {
  readonly rows: readonly Row[];
  readonly nextPageToken: string;
}

/** The first row with this display name, whatever page it is on. */
async function findByTitle<Row extends { displayName: string }>(
  page: (pageToken: string) => Promise<Page<Row>>,
  title: string,
): Promise<Row | undefined> {
  let pageToken = "";
  do {
    const { rows, nextPageToken } = await page(pageToken);
    const found = rows.find(({ displayName }) => displayName === title);
    if (found !== undefined) return found;
    pageToken = nextPageToken;
  } while (pageToken !== "");
  return undefined;
}

/** Policy of the demo links (contract.md 11); limits and CORS are those of any new link. */
const demoPolicy = {
  injections: [{ kind: { case: "header" as const, value: {} }, name: DEMO_KEY_HEADER, secret: UPSTREAM_KEY }],
  issuers: [ISSUER, BUILT_IN_ISSUER],
  requiredClaims: [{ path: "email" }],
  rules: [{ path: "/api/users/{jwt.sub}/**" }, { methods: ["GET"], path: "/events" }],
  claimHeaders: IDENTITY_HEADERS.map(({ claim, header, fallbackClaims }) => ({
    claim,
    header,
    fallbackClaims: [...fallbackClaims],
  })),
  debug: DebugMode.ON,
};

/** A new token for the demo link; those from before are revoked. */
async function newLinkToken(tokens: Client<typeof LinkTokenService>, parent: string): Promise<string> {
  const { linkTokens } = await tokens.listLinkTokens({ parent, pageSize: 500 });
  for (const { name } of linkTokens) await tokens.deleteLinkToken({ name });
  const created = await tokens.createLinkToken({ parent, linkToken: { displayName: "Demo app" } });
  return created.linkToken?.token ?? "";
}

/** The operator key of dev.json while it is accepted; else a new one, and those from before are revoked. */
async function ensureApiKey(
  keys: Client<typeof ApiKeyService>,
  previous: DevFile | undefined,
  wish: DemoWish,
): Promise<string> {
  if (previous !== undefined && (await wish.isApiKeyValid(previous.api_key))) return previous.api_key;
  const page = async (pageToken: string) => {
    const { apiKeys, nextPageToken } = await keys.listApiKeys({ parent: "", pageToken });
    return { rows: apiKeys, nextPageToken };
  };
  for (
    let old = await findByTitle(page, API_KEY_TITLE);
    old !== undefined;
    old = await findByTitle(page, API_KEY_TITLE)
  )
    await keys.deleteApiKey({ name: old.name });
  const created = await keys.createApiKey({ parent: "", apiKey: { displayName: API_KEY_TITLE, role: Role.OPERATOR } });
  return created.apiKey?.key ?? "";
}
