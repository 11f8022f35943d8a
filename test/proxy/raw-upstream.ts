// An upstream that answers with bytes of the test's choice.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface RawUpstream {
  readonly url: string;
  /** Heads of the requests so far, with whatever of the body came in the same packet. */
  readonly requests: string[];
  /** Everything that came, packet by packet (latin1). */
  readonly packets: string[];
  /** Connections so far. */
  readonly connections: Socket[];
}

/** `answer` is called once per packet that begins a request. */
export async function startRawUpstream(
  answer: (socket: Socket, request: string, index: number) => void,
): Promise<RawUpstream> {
  const requests: string[] = [];
  const packets: string[] = [];
  const connections: Socket[] = [];
  const server = createServer((socket) => {
    connections.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      packets.push(text);
      if (!/^[A-Z-]+ \S+ HTTP\/1\.1\r\n/.test(text)) return;
      requests.push(text);
      answer(socket, text, requests.length - 1);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of connections) socket.destroy();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, packets, connections };
}
