import type { Clock } from "../../clock.ts";
import { EXIT, ExitError } from "../../model/exit.ts";
import { SecretText } from "../../model/secret-text.ts";
import { type ControlAddress, createControlClient } from "./control-client.ts";

/** gRPC status codes that say the token itself is refused (`google.rpc.Code`). */
const REFUSED = new Set([3, 5, 7, 16]);

/**
 * Exchanges a join token for this proxy's own credential; tries the addresses in turn. The caller keeps the credential:
 * the token is used up.
 * @throws ExitError (4) when the token is refused, (5) when no control plane answers
 */
export async function joinFleet(
  controls: readonly ControlAddress[],
  joinToken: SecretText,
  clock: Clock,
): Promise<SecretText> {
  let last: unknown;
  for (const control of controls) {
    const client = createControlClient(control, () => undefined, clock);
    try {
      const { credential } = await client.joinProxy(joinToken.reveal());
      return new SecretText(credential);
    } catch (cause) {
      last = cause;
      if (REFUSED.has((cause as { code?: number }).code ?? -1)) {
        throw new ExitError(
          EXIT.refused,
          "CONDUIT_JOIN_TOKEN: unknown, used or expired: make a new one with `conduit proxy join-token`",
          { cause },
        );
      }
    } finally {
      client.close();
    }
  }
  const text = "no control plane answers at --control; the join token is still unused unless an answer was lost";
  throw new ExitError(EXIT.unreachable, text, { cause: last });
}
