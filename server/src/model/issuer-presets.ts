/**
 * What is known of the usual providers of users' tokens: data for `conduit issuer presets`, the page and the docs. Texts
 * hold `{parameter}` where a project's own value belongs.
 */
export interface IssuerPreset {
  /** Lower case, for options and URLs. */
  readonly id: string;
  readonly name: string;
  /** What has to be filled in. */
  readonly parameters: readonly PresetParameter[];
  /** Fields of an `Issuer` as the API takes them. */
  readonly issuer: PresetIssuer;
  /** What belongs into the link's `audiences`; a preset without one needs `any_audience` or a token template. */
  readonly audience: string;
  /** What else one has to know. */
  readonly note: string;
  /** The provider's own page about these tokens. */
  readonly documentation: string;
}

export interface PresetParameter {
  readonly name: string;
  readonly example: string;
  readonly where: string;
}

/** `iss` is that of discovery where there is no other. */
export type PresetIssuer = (
  | { readonly oidc_discovery: string }
  | { readonly iss: string; readonly jwks_url: string }
) & {
  readonly algorithms: readonly ("RS256" | "ES256")[];
  readonly audience_claim?: string;
  readonly accept_id_tokens?: true;
};

const RS256 = ["RS256"] as const;

export const ISSUER_PRESETS: readonly IssuerPreset[] = [
  {
    id: "auth0",
    name: "Auth0",
    parameters: [{ name: "domain", example: "shop.eu.auth0.com", where: "Applications → Settings → Domain" }],
    issuer: { oidc_discovery: "https://{domain}/", algorithms: RS256 },
    audience: "the API's identifier",
    note: "Access tokens are JWTs only when the app asks for that audience. The slash at the end belongs to the issuer.",
    documentation: "https://auth0.com/docs/secure/tokens/access-tokens/validate-access-tokens",
  },
  {
    id: "firebase",
    name: "Firebase",
    parameters: [{ name: "project_id", example: "shop-1234", where: "Project settings → General" }],
    issuer: {
      iss: "https://securetoken.google.com/{project_id}",
      jwks_url: "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
      algorithms: RS256,
      accept_id_tokens: true,
    },
    audience: "{project_id}",
    note: "Firebase gives apps nothing but ID tokens, so they are accepted.",
    documentation: "https://firebase.google.com/docs/auth/admin/verify-id-tokens",
  },
  {
    id: "cognito",
    name: "Amazon Cognito",
    parameters: [
      { name: "region", example: "eu-central-1", where: "part of the user pool's id" },
      { name: "user_pool_id", example: "eu-central-1_AbCdEfGhI", where: "User pool → Overview" },
    ],
    issuer: {
      oidc_discovery: "https://cognito-idp.{region}.amazonaws.com/{user_pool_id}",
      algorithms: RS256,
      audience_claim: "client_id",
    },
    audience: "the app client's id",
    note: "Cognito's access tokens have no aud; client_id stands for it.",
    documentation:
      "https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html",
  },
  {
    id: "okta",
    name: "Okta",
    parameters: [
      { name: "domain", example: "dev-123456.okta.com", where: "the console's menu" },
      { name: "authorization_server", example: "default", where: "Security → API" },
    ],
    issuer: { oidc_discovery: "https://{domain}/oauth2/{authorization_server}", algorithms: RS256 },
    audience: "the authorization server's audience, as api://default",
    note: "Tokens of Okta's own server (without /oauth2/…) are for Okta only and cannot be verified by others.",
    documentation: "https://developer.okta.com/docs/guides/validate-access-tokens/",
  },
  {
    id: "keycloak",
    name: "Keycloak",
    parameters: [
      { name: "host", example: "login.example.com", where: "the server's public host name" },
      { name: "realm", example: "shop", where: "the realm's name" },
    ],
    issuer: { oidc_discovery: "https://{host}/realms/{realm}", algorithms: RS256 },
    audience: "the client that an audience mapper adds",
    note: "Without an audience mapper aud says only account, or nothing. Roles stand in realm_access.roles.",
    documentation: "https://www.keycloak.org/docs/latest/server_admin/#audience-support",
  },
  {
    id: "clerk",
    name: "Clerk",
    parameters: [{ name: "frontend_api", example: "clerk.example.com", where: "API keys → Frontend API URL" }],
    issuer: {
      iss: "https://{frontend_api}",
      jwks_url: "https://{frontend_api}/.well-known/jwks.json",
      algorithms: RS256,
    },
    audience: "the aud of your JWT template",
    note: "Session tokens have no aud: add one in a JWT template, or set any_audience and require the claim azp.",
    documentation: "https://clerk.com/docs/backend-requests/manual-jwt",
  },
  {
    id: "supabase",
    name: "Supabase",
    parameters: [{ name: "project_ref", example: "abcdefghijklmnopqrst", where: "Project Settings → General" }],
    issuer: {
      iss: "https://{project_ref}.supabase.co/auth/v1",
      jwks_url: "https://{project_ref}.supabase.co/auth/v1/.well-known/jwks.json",
      algorithms: ["ES256", "RS256"],
    },
    audience: "authenticated",
    note: "For projects with signing keys; with the legacy JWT secret use an HS256 issuer and that secret instead.",
    documentation: "https://supabase.com/docs/guides/auth/signing-keys",
  },
  {
    id: "entra",
    name: "Microsoft Entra ID",
    parameters: [{ name: "tenant_id", example: "00000000-0000-0000-0000-000000000000", where: "Overview → Tenant ID" }],
    issuer: { oidc_discovery: "https://login.microsoftonline.com/{tenant_id}/v2.0", algorithms: RS256 },
    audience: "the API's application (client) ID",
    note: "For version 2 tokens (requestedAccessTokenVersion: 2 in the API's manifest). Use the tenant's id, never common.",
    documentation: "https://learn.microsoft.com/entra/identity-platform/access-tokens",
  },
  {
    id: "google",
    name: "Google",
    parameters: [],
    issuer: { oidc_discovery: "https://accounts.google.com", algorithms: RS256, accept_id_tokens: true },
    audience: "the OAuth client's id",
    note: "Google's access tokens are opaque; apps send the ID token, so it is accepted.",
    documentation: "https://developers.google.com/identity/gsi/web/guides/verify-google-id-token",
  },
];
