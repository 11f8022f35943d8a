// Process: one client in one case. Arguments: the client, the case, the room's URL. Prints what the callers got, as JSON, and ends, whatever timers
// the client has left.
import { CASES } from "./cases.ts";
import { CLIENTS, type ClientName } from "./clients.ts";

async function main([client = "", name = "", room = ""]: readonly string[]): Promise<void> {
  const it = CASES[name];
  if (it === undefined || !(client in CLIENTS)) throw new Error(`no case ${name} of ${client}`);
  const set = async (settings: object) => {
    await (await fetch(`${room}/settings`, { method: "POST", body: JSON.stringify(settings) })).text();
  };
  const open = await CLIENTS[client as ClientName]({ room, expiresIn: it.login?.expiresIn ?? 900 });
  const outcome = await it.run({ room, open, set });
  process.stdout.write(JSON.stringify(outcome), () => process.exit(0));
}

// What a client rejects where nobody listens is no outcome of a caller.
process.on("unhandledRejection", () => {});
main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(String(error));
  process.exit(1);
});
