import type { Role } from "../model/api-key.ts";

/** Where a request says which project it is about: path of the field that holds a resource name. */
type ProjectField = string;

/** What a method needs of its caller. */
export type Access =
  | {
      readonly by: "api_key";
      readonly role: Role;
      /** Absent: about the installation, or the method shows only what the key may see. */
      readonly project?: ProjectField;
      /** A name without a project means the installation: operators only. */
      readonly orInstallation?: true;
      /** What it writes confirms the caller, who may be known from memory until then. */
      readonly isConfirming?: true;
    }
  /** A proxy's own credential. */
  | { readonly by: "proxy_credential" }
  /** No credential in the header: the request carries its own, or the answer is public. */
  | { readonly by: "nothing"; readonly why: string };

const inProject = (role: Role, project: ProjectField): Access => ({ by: "api_key", role, project });
const inProjectOrInstallation = (role: Role, project: ProjectField): Access => ({
  by: "api_key",
  role,
  project,
  orInstallation: true,
});
const confirming = (role: Role, project: ProjectField): Access => ({
  by: "api_key",
  role,
  project,
  isConfirming: true,
});
const anywhere = (role: Role): Access => ({ by: "api_key", role });
const proxyCredential: Access = { by: "proxy_credential" };
const nothing = (why: string): Access => ({ by: "nothing", why });

/**
 * Every method of the API and who may call it; a method without a row can be called by nobody. The field names the
 * project the call is authorised for: the services take the project from that same field and from nowhere else.
 */
export const PERMISSIONS: Readonly<Record<string, Access>> = {
  "conduit.v1.ProjectService/CreateProject": anywhere("operator"),
  "conduit.v1.ProjectService/GetProject": inProject("viewer", "name"),
  "conduit.v1.ProjectService/ListProjects": anywhere("viewer"),
  "conduit.v1.ProjectService/UpdateProject": inProject("owner", "project.name"),
  "conduit.v1.ProjectService/DeleteProject": inProject("operator", "name"),

  "conduit.v1.LinkService/CreateLink": inProject("editor", "parent"),
  "conduit.v1.LinkService/GetLink": inProject("viewer", "name"),
  "conduit.v1.LinkService/ListLinks": inProject("viewer", "parent"),
  "conduit.v1.LinkService/UpdateLink": inProject("editor", "link.name"),
  "conduit.v1.LinkService/DeleteLink": inProject("editor", "name"),
  "conduit.v1.LinkService/DisableLink": inProject("editor", "name"),
  "conduit.v1.LinkService/EnableLink": inProject("editor", "name"),
  "conduit.v1.LinkService/CreateDebugKey": inProject("editor", "parent"),
  "conduit.v1.LinkService/ListLinkRevisions": inProject("viewer", "parent"),
  "conduit.v1.LinkService/GetLinkRevision": inProject("viewer", "name"),
  "conduit.v1.LinkService/CompareLinkRevisions": inProject("viewer", "name"),
  "conduit.v1.LinkService/RollbackLink": inProject("editor", "name"),

  "conduit.v1.LinkTokenService/CreateLinkToken": inProject("editor", "parent"),
  "conduit.v1.LinkTokenService/GetLinkToken": inProject("viewer", "name"),
  "conduit.v1.LinkTokenService/ListLinkTokens": inProject("viewer", "parent"),
  "conduit.v1.LinkTokenService/UpdateLinkToken": inProject("editor", "link_token.name"),
  "conduit.v1.LinkTokenService/DeleteLinkToken": inProject("editor", "name"),

  "conduit.v1.SecretService/CreateSecret": inProject("editor", "parent"),
  "conduit.v1.SecretService/GetSecret": inProject("viewer", "name"),
  "conduit.v1.SecretService/ListSecrets": inProject("viewer", "parent"),
  "conduit.v1.SecretService/UpdateSecret": inProject("editor", "secret.name"),
  "conduit.v1.SecretService/DeleteSecret": inProject("editor", "name"),

  "conduit.v1.IssuerService/CreateIssuer": inProject("editor", "parent"),
  "conduit.v1.IssuerService/GetIssuer": inProject("viewer", "name"),
  "conduit.v1.IssuerService/ListIssuers": inProject("viewer", "parent"),
  "conduit.v1.IssuerService/UpdateIssuer": inProject("editor", "issuer.name"),
  "conduit.v1.IssuerService/DeleteIssuer": inProject("editor", "name"),
  "conduit.v1.IssuerService/RefreshKeys": inProject("editor", "name"),

  "conduit.v1.ApiKeyService/CreateApiKey": inProjectOrInstallation("owner", "parent"),
  "conduit.v1.ApiKeyService/GetApiKey": inProjectOrInstallation("owner", "name"),
  "conduit.v1.ApiKeyService/ListApiKeys": inProjectOrInstallation("owner", "parent"),
  "conduit.v1.ApiKeyService/UpdateApiKey": inProjectOrInstallation("owner", "api_key.name"),
  "conduit.v1.ApiKeyService/RotateApiKey": inProjectOrInstallation("owner", "name"),
  "conduit.v1.ApiKeyService/DeleteApiKey": inProjectOrInstallation("owner", "name"),

  "conduit.v1.SigningKeyService/CreateSigningKey": inProject("owner", "parent"),
  "conduit.v1.SigningKeyService/GetSigningKey": inProject("viewer", "name"),
  "conduit.v1.SigningKeyService/ListSigningKeys": inProject("viewer", "parent"),
  "conduit.v1.SigningKeyService/RotateSigningKey": inProject("owner", "parent"),
  "conduit.v1.SigningKeyService/ActivateSigningKey": inProject("owner", "name"),
  "conduit.v1.SigningKeyService/RevokeSigningKey": inProject("owner", "name"),

  "conduit.v1.TokenService/MintToken": confirming("minter", "parent"),
  "conduit.v1.TokenService/VerifyToken": inProject("viewer", "link"),
  "conduit.v1.TokenService/BatchMintTokens": confirming("minter", "parent"),
  "conduit.v1.TokenService/ExchangeToken": inProject("minter", "parent"),
  "conduit.v1.TokenService/IntrospectToken": inProject("minter", "parent"),

  "conduit.v1.TokenService/RefreshToken": nothing("the refresh token in the request is the credential"),
  "conduit.v1.TokenService/RevokeToken": inProject("minter", "parent"),

  "conduit.v1.SessionService/ListSessions": inProject("viewer", "parent"),
  "conduit.v1.SessionService/GetSession": inProject("viewer", "name"),
  "conduit.v1.SessionService/RevokeSession": inProject("minter", "name"),
  "conduit.v1.SessionService/RevokeSubjectSessions": inProject("minter", "parent"),

  "conduit.v1.RevocationService/CreateRevocation": inProject("editor", "parent"),
  "conduit.v1.RevocationService/ListRevocations": inProject("viewer", "parent"),
  "conduit.v1.RevocationService/DeleteRevocation": inProject("editor", "name"),
  "conduit.v1.ProxyService/CreateJoinToken": anywhere("operator"),
  "conduit.v1.ProxyService/JoinProxy": nothing("the join token in the request is the credential"),
  "conduit.v1.ProxyService/ListProxies": anywhere("operator"),
  "conduit.v1.ProxyService/GetProxy": anywhere("operator"),
  "conduit.v1.ProxyService/UpdateProxy": anywhere("operator"),
  "conduit.v1.ProxyService/RevokeProxy": anywhere("operator"),
  "conduit.v1.ProxyService/RotateProxyCredential": anywhere("operator"),
  "conduit.v1.ProxyService/DeleteProxy": anywhere("operator"),
  "conduit.v1.ProxyService/GetRollout": anywhere("operator"),
  "conduit.v1.ProxyService/WaitForRollout": anywhere("operator"),

  "conduit.v1.ConfigService/WatchConfig": proxyCredential,
  "conduit.v1.ConfigService/ReportConfigStatus": proxyCredential,
  "conduit.v1.ConfigService/ReportUsage": proxyCredential,
  "conduit.v1.ConfigService/RotateCredential": proxyCredential,

  "conduit.v1.UsageService/ListUsage": inProject("viewer", "parent"),

  "conduit.v1.AuditService/GetAuditEvent": inProjectOrInstallation("owner", "name"),
  "conduit.v1.AuditService/ListAuditEvents": inProjectOrInstallation("owner", "parent"),

  "grpc.health.v1.Health/Check": nothing("balancers ask without a credential; it says only whether we serve"),
  "grpc.health.v1.Health/Watch": nothing("balancers ask without a credential; it says only whether we serve"),
};
