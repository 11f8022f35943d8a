export { type AssertionKeys, type AssertionKeysOptions, assertionKeys, type JsonWebKeySet } from "./assertion-keys.ts";
export {
  type CallOptions,
  type ControlClient,
  type ControlClientOptions,
  createControlClient,
} from "./control-client.ts";
export { ControlError, type ControlErrorCode, type ControlErrorDetail, isControlError } from "./control-error.ts";
export { type SignUserTokenOptions, signUserToken } from "./sign-user-token.ts";
export type {
  ExchangeTokenRequest,
  IntrospectedToken,
  IntrospectTokenRequest,
  Lifetime,
  MintedToken,
  MintTokenRequest,
  RefreshTokenRequest,
  RevokeTokenRequest,
  TokenVerdict,
  VerifyTokenRequest,
} from "./token-messages.ts";
export {
  type AssertionClaims,
  IdentityAssertionError,
  type VerifyAssertionOptions,
  verifyAssertion,
} from "./verify-assertion.ts";
export {
  type UserTokenClaims,
  UserTokenError,
  type VerifyUserTokenOptions,
  verifyUserToken,
} from "./verify-user-token.ts";
