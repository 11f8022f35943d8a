import { once } from "node:events";
import type { RequestListener } from "node:http";
import { connect, createServer } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { Agent, request } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import { listenProxy, type ProxyListenerOptions } from "../../server/src/listen/proxy.ts";
import { TLS_PAIR } from "../support/tls-pair.ts";

async function start(handler: RequestListener, options: Partial<ProxyListenerOptions> = {}) {
  const listener = await listenProxy({ host: "127.0.0.1", port: 0, handlers: { request: handler }, ...options });
  onTestFinished(() => listener.drain(0));
  return { listener, port: listener.address.port };
}

const ok: RequestListener = (_request, response) => void response.end("ok");

describe("listenProxy", () => {
  test("uses the options and handlers given", async () => {
    const failures: Error[] = [];
    const { port } = await start(ok, {
      serverOptions: { maxHeaderSize: 1_000 },
      maxHeadersCount: 0,
      handlers: {
        request: ok,
        clientError: (error, socket) => {
          failures.push(error);
          socket.end("HTTP/1.1 431 Too Large\r\nConnection: close\r\n\r\n");
        },
      },
    });
    const socket = connect(port, "127.0.0.1");
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(2_000)}\r\n\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 431 /);
    expect(failures).toMatchObject([{ code: "HPE_HEADER_OVERFLOW" }]);
  });

  test("serves TLS with the certificate given", async () => {
    const { port } = await start(ok, { tls: TLS_PAIR });
    const dispatcher = new Agent({ connect: { ca: TLS_PAIR.cert } });
    const answer = await request(`https://localhost:${port}/`, { dispatcher });
    expect(await answer.body.text()).toBe("ok");
    await dispatcher.destroy();
  });

  test("listens on IPv4 and IPv6 when told ::", async () => {
    const { port } = await start(ok, { host: "::" });
    for (const host of ["127.0.0.1", "::1"]) {
      const socket = connect(port, host);
      await once(socket, "connect");
      socket.destroy();
    }
  });

  test("a port in use is exit 3 and names the flag", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const message = expect.stringMatching(new RegExp(`^--proxy-port: port ${port} is in use`));
    await expect(start(ok, { port })).rejects.toMatchObject({ exitCode: 3, message });
    taken.close();
  });

  test("an address that is not this machine's is exit 3 too", async () => {
    await expect(start(ok, { host: "192.0.2.1" })).rejects.toMatchObject({ exitCode: 3 });
  });
});

describe("drain", () => {
  test("finishes what is in flight, also on a connection that stays alive, and serves nothing new", async () => {
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const { listener, port } = await start((_request, response) => {
      response.write("first ");
      begun.resolve();
      void go.promise.then(() => response.end("last"));
    });
    const dispatcher = new Agent();
    const answer = await request(`http://127.0.0.1:${port}/`, { dispatcher });
    await begun.promise;
    const drained = listener.drain();
    const late = connect(port, "127.0.0.1");
    await once(late, "error");
    go.resolve();
    expect(await answer.body.text()).toBe("first last");
    await drained;
    await dispatcher.destroy();
  });

  test("a request that arrives on an open connection during the drain is served and told that the connection ends", async () => {
    const go = Promise.withResolvers<void>();
    const { listener, port } = await start((incoming, response) => {
      if (incoming.url === "/held") void go.promise.then(() => response.end("held"));
      else response.end("ok");
    });
    const socket = connect(port, "127.0.0.1");
    const all = text(socket);
    socket.write("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    await new Promise((resolve) => setImmediate(resolve));
    // On its way when the drain begins: pipelined behind the held one.
    socket.write("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    const drained = listener.drain();
    go.resolve();
    const answer = await all;
    expect(answer.match(/HTTP\/1\.1 200/g)?.length).toBeGreaterThanOrEqual(1);
    await drained;
  });

  test("cuts what does not finish in time, and tells the owner of streams at once", async () => {
    let isTold = false;
    const { listener, port } = await start((_request, response) => void response.write("endless"), {
      onDrain: () => {
        isTold = true;
      },
    });
    const socket = connect(port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(socket, "data");
    const drained = listener.drain(50);
    expect(isTold).toBe(true);
    await drained;
    await listener.drain(50);
  });

  test("does not wait for a connection that was handed over and is not ended by its owner", async () => {
    const upgrade = (_request: unknown, socket: Duplex) => {
      socket.on("error", () => undefined);
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    };
    const { listener, port } = await start(ok, { handlers: { request: ok, upgrade } });
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await once(socket, "data");
    const closed = once(socket, "close");
    await listener.drain(5_000);
    await closed;
  });
});
