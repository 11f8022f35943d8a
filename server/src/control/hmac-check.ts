import { secretBytes } from "../jwt/trust.ts";
import type { SecretEncoding, SigningAlgorithm } from "../model/issuer.ts";
import type { SecretText } from "../model/secret-text.ts";
import { hmacSecretProblem } from "../policy/hmac-secret.ts";

/** How a secret is used. */
export interface HmacUse {
  readonly encoding: SecretEncoding;
  readonly algorithms: readonly SigningAlgorithm[];
}

/** What makes a secret unfit to verify HMAC tokens (S12); undefined = nothing. Public text without the secret. */
export async function hmacProblem(secret: SecretText, { encoding, algorithms }: HmacUse): Promise<string | undefined> {
  // Its word lists take 50 ms and 25 MB: loaded by those who write such secrets only.
  const { isGuessable } = await import("../policy/secret-strength.ts");
  return hmacSecretProblem(secret.reveal(), secretBytes(secret, encoding), algorithms, isGuessable);
}
