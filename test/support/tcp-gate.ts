// A door in front of a server: shut, nobody gets in and whoever is inside is thrown out, as when a machine goes away.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface TcpGate extends AsyncDisposable {
  /** On 127.0.0.1; the same for good. */
  readonly port: number;
  /** Cuts all connections and refuses new ones. */
  shut(): Promise<void>;
  open(): Promise<void>;
}

/** Opens a gate to 127.0.0.1:`target`. */
export async function openTcpGate(target: number): Promise<TcpGate> {
  const inside = new Set<Socket>();
  const keep = (socket: Socket): void => {
    inside.add(socket);
    socket.on("error", () => socket.destroy()).once("close", () => inside.delete(socket));
  };
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    keep(client);
    keep(upstream);
    client.pipe(upstream).pipe(client);
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => client.destroy());
  });
  let port = 0;
  const open = async (): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  };
  const shut = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    for (const socket of inside) socket.destroy();
    await closed;
  };
  await open();
  return {
    get port() {
      return port;
    },
    shut,
    open,
    async [Symbol.asyncDispose]() {
      if (server.listening) await shut();
    },
  };
}
