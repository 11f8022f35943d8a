// Worker: one client for all requests of an isolate, as a module holds it. `/abandon` leaves in the middle of the refresh it began, `/call` comes after.
import { outcomeOf } from "./cases.ts";
import { CLIENTS, type Client, type ClientName } from "./clients.ts";

const clients = new Map<string, Promise<Client>>();

async function answer({ pathname, searchParams }: URL): Promise<string> {
  const [name, room] = [searchParams.get("client"), searchParams.get("room")];
  if (name === null || room === null) return "ready";
  const open = () => CLIENTS[name as ClientName]({ room, expiresIn: 900 }).then((make) => make());
  const client = clients.get(name) ?? open();
  clients.set(name, client);
  const { call } = await client;
  if (pathname === "/call") return outcomeOf(call("/x"));
  call("/x").catch(() => {});
  // Long enough for the refresh to be under way, too short for its answer.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return "left";
}

const worker = { fetch: async (request: Request) => new Response(await answer(new URL(request.url))) };

// By this name workerd finds it.
// biome-ignore lint/style/noDefaultExport: workerd's own rule
export { worker as default };
