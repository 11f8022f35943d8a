import { type ControlClient, createControlClient, isControlError } from "@conduit-link/sdk/server";
import { EXIT, ExitError } from "../model/exit.ts";
import type { ClientSettings } from "../settings.ts";

/** A client of the API like any other, over its HTTP port. */
export const controlClient = ({ controlUrl, apiKey }: ClientSettings): ControlClient =>
  createControlClient({ url: controlUrl, apiKey: () => apiKey.reveal() });

/** Codes that mean: nobody answered. */
const UNREACHABLE = new Set(["unavailable", "deadline_exceeded"]);

/** Turns a refusal of the API into exit code 4, no answer into 5; anything else is thrown on. */
export async function orExit<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!isControlError(error)) throw error;
    const reason = error.reason === undefined ? error.code : error.reason;
    if (UNREACHABLE.has(error.code))
      throw new ExitError(EXIT.unreachable, `${error.message} (${reason})`, { cause: error });
    throw new ExitError(EXIT.refused, `${error.message} (${reason})`, { cause: error });
  }
}
