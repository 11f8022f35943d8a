import { secretBytes } from "../jwt/trust.ts";
import type { SecretEncoding } from "../model/issuer.ts";
import type { SecretText } from "../model/secret-text.ts";
import { hmacSecretProblem } from "../policy/hmac-secret.ts";

/** What makes a secret unfit to verify HS256 tokens (S12); undefined = nothing. Public text without the secret. */
export const hmacProblem = (secret: SecretText, encoding: SecretEncoding): string | undefined =>
  hmacSecretProblem(secret.reveal(), secretBytes(secret, encoding));
