/** Resource names (AIP-122) of every noun: how to make them and how to read them. */

/** Patterns with the ids as groups. */
const PATTERNS = {
  project: /^projects\/([^/]+)$/,
  link: /^projects\/([^/]+)\/links\/([^/]+)$/,
  linkRevision: /^projects\/([^/]+)\/links\/([^/]+)\/revisions\/([1-9]\d{0,8})$/,
  linkToken: /^projects\/([^/]+)\/links\/([^/]+)\/tokens\/([^/]+)$/,
  secret: /^projects\/([^/]+)\/secrets\/([^/]+)$/,
  issuer: /^projects\/([^/]+)\/issuers\/([^/]+)$/,
  apiKey: /^(?:projects\/([^/]+)\/)?apiKeys\/([^/]+)$/,
  session: /^projects\/([^/]+)\/sessions\/([^/]+)$/,
  revocation: /^projects\/([^/]+)\/revocations\/([^/]+)$/,
  signingKey: /^projects\/([^/]+)\/signingKeys\/([^/]+)$/,
  auditEvent: /^(?:projects\/([^/]+)\/)?auditEvents\/([^/]+)$/,
  proxy: /^proxies\/([^/]+)$/,
} as const;

export type NamedNoun = keyof typeof PATTERNS;

export const projectName = (project: string): string => `projects/${project}`;
export const linkName = (project: string, link: string): string => `projects/${project}/links/${link}`;
export const linkTokenName = (project: string, link: string, token: string): string =>
  `projects/${project}/links/${link}/tokens/${token}`;
/** @param number of the version, from 1 */
export const linkRevisionName = (project: string, link: string, number: number): string =>
  `projects/${project}/links/${link}/revisions/${number}`;
export const secretName = (project: string, secret: string): string => `projects/${project}/secrets/${secret}`;
export const issuerName = (project: string, issuer: string): string => `projects/${project}/issuers/${issuer}`;
export const sessionName = (project: string, session: string): string => `projects/${project}/sessions/${session}`;
export const revocationName = (project: string, revocation: string): string =>
  `projects/${project}/revocations/${revocation}`;
/** `project` undefined = a key of the installation (operator). */
export const apiKeyName = (project: string | undefined, key: string): string =>
  project === undefined ? `apiKeys/${key}` : `projects/${project}/apiKeys/${key}`;
/** @param kid RFC 7638 thumbprint */
export const signingKeyName = (project: string, kid: string): string => `projects/${project}/signingKeys/${kid}`;
/** In the config stream: the key that signs a project's assertions now. */
export const assertionKeyName = (project: string): string => `projects/${project}/assertionKey`;
/** `project` undefined = an event of the installation. */
export const auditEventName = (project: string | undefined, id: string): string =>
  project === undefined ? `auditEvents/${id}` : `projects/${project}/auditEvents/${id}`;
export const proxyName = (proxy: string): string => `proxies/${proxy}`;

/** The ids in a name, outermost first; undefined when it is not the name of such a noun. An absent project is "". */
export function parseName(noun: NamedNoun, name: string): readonly string[] | undefined {
  const match = PATTERNS[noun].exec(name);
  return match === null ? undefined : match.slice(1).map((id) => id ?? "");
}

/** Last id of a name: its own. */
export const idOf = (name: string): string => name.slice(name.lastIndexOf("/") + 1);

/** Project id in a name; "" when it has none. */
export const projectOf = (name: string): string => /^projects\/([^/]+)/.exec(name)?.[1] ?? "";
