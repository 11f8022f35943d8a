import { EXIT } from "../model/exit.ts";

/**
 * Waits for SIGINT or SIGTERM, then runs `stop` (which drains) and resolves; a second Ctrl-C ends the process at once.
 */
export async function untilStopped(stop: () => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => {
      process.on("SIGINT", () => process.exit(EXIT.interrupted));
      resolve();
    });
  });
  await stop();
}
