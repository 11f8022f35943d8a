// promises.md S4, R5: hostile, slow and broken upstreams.
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { startHttpServer } from "../support/http-server.ts";
import { until } from "../support/until.ts";
import { credentialLines, LINK_ID, rawExchange, startProxy, statusesOf } from "./harness.ts";
import { startRawUpstream } from "./raw-upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** What the outcome of a call is: status and code, or `aborted`. */
async function outcomeOf(call: Promise<Response>): Promise<string> {
  try {
    const answer = await call;
    const text = await answer.text();
    return `${answer.status} ${answer.headers.get("x-conduit-error") ?? text}`;
  } catch {
    return "aborted";
  }
}

describe("an upstream's surplus never reaches another request, and its socket is not used again", () => {
  test.each([
    ["two answers at once", `${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`, "200 ok"],
    ["bytes after the body", `${OK}surplus`, "200 ok"],
    ["a body after 204", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "204 "],
    ["a body after 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil", "304 "],
  ])("%s", async (_what, bytes, expected) => {
    const upstream = await startRawUpstream((socket, _request, index) => socket.write(index === 0 ? bytes : OK));
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await outcomeOf(proxy.call("/first"))).toBe(expected);
    expect(await outcomeOf(proxy.call("/second"))).toBe("200 ok");
    expect(upstream.connections).toHaveLength(2);
  });

  test("an answer nobody asked for, on an idle connection", async () => {
    const upstream = await startRawUpstream((socket, _request, index) => {
      socket.write(OK);
      if (index === 0) setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), 30);
    });
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await outcomeOf(proxy.call("/first"))).toBe("200 ok");
    await once(upstream.connections[0]!, "close");
    expect(await outcomeOf(proxy.call("/second"))).toBe("200 ok");
  });

  test("a body after HEAD", async () => {
    const upstream = await startRawUpstream((socket, _request, index) => {
      socket.write(index === 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" : OK);
    });
    const proxy = await startProxy({ baseUrl: upstream.url });
    const head = await proxy.call("/first", { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "4"]);
    expect(await outcomeOf(proxy.call("/second"))).toBe("200 ok");
    expect(upstream.connections).toHaveLength(2);
  });
});

describe("an answer that is not HTTP is 502, or visibly broken, never padded", () => {
  test.each([
    ["no HTTP at all", "hello\r\n\r\n", "502 upstream_invalid"],
    ["HTTP/0.9", "<html>", "502 upstream_invalid"],
    ["a bare LF head", "HTTP/1.1 200 OK\nX: y\n\nbody", "502 upstream_invalid"],
    ["a NUL in a header", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n", "502 upstream_invalid"],
    ["a header without colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "502 upstream_invalid"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "502 upstream_invalid"],
    ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc", "502 upstream_invalid"],
    [
      "both kinds of length",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "502 upstream_invalid",
    ],
    [
      "an unknown coding",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "502 upstream_invalid",
    ],
    [
      "an upgrade nobody asked for",
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
      "502 upstream_invalid",
    ],
    ["a head over 32 KiB", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(40_000)}\r\n\r\n`, "502 upstream_invalid"],
    ["an end within the head", "HTTP/1.1 200 OK\r\nX: ", "502 upstream_invalid"],
    ["an end without any byte", "", "502 upstream_invalid"],
    ["a short body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "aborted"],
    ["a short chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", "aborted"],
    ["a broken chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "aborted"],
  ])("%s", async (_what, bytes, expected) => {
    const upstream = await startRawUpstream((socket) => socket.end(bytes, "latin1"));
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await outcomeOf(proxy.call("/x", { method: "POST", body: "x" }))).toBe(expected);
  });

  test("a long body is cut at its announced length", async () => {
    const upstream = await startRawUpstream((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"),
    );
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await outcomeOf(proxy.call("/x"))).toBe("200 abc");
  });

  test("a body without length ends with the connection", async () => {
    const upstream = await startRawUpstream((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nabc"));
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await outcomeOf(proxy.call("/x"))).toBe("200 abc");
  });

  test("interim answers are not passed on", async () => {
    const early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    const upstream = await startRawUpstream((socket) => socket.write(early + OK));
    const proxy = await startProxy({ baseUrl: upstream.url });
    const request = `GET /${LINK_ID}/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${credentialLines()}\r\n`;
    expect(statusesOf(await rawExchange(proxy.port, request))).toEqual([200]);
  });

  test("trailers are not passed on", async () => {
    const upstream = await startRawUpstream((socket) => {
      socket.write(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Evil\r\n\r\n2\r\nok\r\n0\r\nX-Evil: 1\r\n\r\n",
      );
    });
    const proxy = await startProxy({ baseUrl: upstream.url });
    const request = `GET /${LINK_ID}/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${credentialLines()}\r\n`;
    expect(await rawExchange(proxy.port, request)).not.toMatch(/x-evil/i);
  });
});

describe("deadlines", () => {
  test("no answer within the first-byte timeout is 504", async () => {
    const upstream = await startRawUpstream(() => undefined);
    const proxy = await startProxy({ baseUrl: upstream.url, link: { upstream: { firstByteTimeoutMs: 100 } } });
    expect(await outcomeOf(proxy.call("/x"))).toBe("504 upstream_timeout");
    await once(upstream.connections[0]!, "close");
  });

  test("a body that falls silent is aborted", async () => {
    const upstream = await startRawUpstream((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    );
    const proxy = await startProxy({ baseUrl: upstream.url, link: { upstream: { idleTimeoutMs: 100 } } });
    expect(await outcomeOf(proxy.call("/x"))).toBe("aborted");
  });

  test("the total timeout ends an answer that drips", async () => {
    const upstream = await startRawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n");
      const drip = setInterval(() => socket.write("a"), 20);
      socket.on("close", () => clearInterval(drip));
    });
    const proxy = await startProxy({ baseUrl: upstream.url, link: { upstream: { totalTimeoutMs: 200 } } });
    expect(await outcomeOf(proxy.call("/x"))).toBe("aborted");
  });

  test("nobody listening is 502", async () => {
    const gone = await startHttpServer();
    await gone.close();
    const proxy = await startProxy({ baseUrl: gone.url });
    expect(await outcomeOf(proxy.call("/x"))).toBe("502 upstream_unreachable");
  });

  test("an address that is not allowed is 502, and nothing connects", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url, link: { upstream: { allowPrivate: false } } });
    expect(await outcomeOf(proxy.call("/x"))).toBe("502 upstream_address_refused");
    expect(upstream.connections).toBe(0);
  });
});

describe("the one retry", () => {
  /** Answers the first request of each connection; closes on the second. */
  const closesOnReuse = () => {
    const answered = new WeakSet<object>();
    return startRawUpstream((socket) => {
      if (answered.has(socket)) return void socket.destroy();
      answered.add(socket);
      socket.write(OK);
    });
  };

  test("a GET on a connection that the upstream was just closing is sent again", async () => {
    const upstream = await closesOnReuse();
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await outcomeOf(proxy.call("/a"))).toBe("200 ok");
    expect(await outcomeOf(proxy.call("/b"))).toBe("200 ok");
    expect(upstream.requests.filter((request) => request.startsWith("GET /b"))).toHaveLength(2);
  });

  test.each(["POST", "DELETE"])("a %s is delivered at most once", async (method) => {
    const upstream = await closesOnReuse();
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await outcomeOf(proxy.call("/a"))).toBe("200 ok");
    expect(await outcomeOf(proxy.call("/b", { method }))).toBe("502 upstream_invalid");
    expect(upstream.requests.filter((request) => request.includes("/b"))).toHaveLength(1);
  });

  test("a GET on a new connection is not sent again", async () => {
    const upstream = await startRawUpstream((socket) => void socket.destroy());
    const proxy = await startProxy({ baseUrl: upstream.url });
    expect(await outcomeOf(proxy.call("/a"))).toBe("502 upstream_invalid");
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("streaming", () => {
  test("events arrive one by one, the head before the first", async () => {
    let send: ((text: string) => void) | undefined;
    await using upstream = await startHttpServer(
      (_request, { response }) => {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.flushHeaders();
        send = (text) => void response.write(text);
        return undefined;
      },
      { readBody: false },
    );
    const proxy = await startProxy({ baseUrl: upstream.url });
    const answer = await proxy.call("/events");
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
      send?.(event);
      expect((await reader.read()).value).toBe(event);
    }
    await reader.cancel();
  });

  test("a client that goes away ends the upstream's request, before and after the head", async () => {
    let closed = 0;
    await using upstream = await startHttpServer(
      ({ target }, { request, response }) => {
        request.socket.on("close", () => {
          closed += 1;
        });
        if (target === "/started") response.writeHead(200).write("a");
        return undefined;
      },
      { readBody: false },
    );
    const proxy = await startProxy({ baseUrl: upstream.url });
    for (const path of ["/waiting", "/started"]) {
      const before = closed;
      const socket = connect(proxy.port, "127.0.0.1");
      socket.write(`GET /${LINK_ID}${path} HTTP/1.1\r\nHost: a.example\r\n${credentialLines()}\r\n`);
      await until("the request arrives", () => upstream.requests.some(({ target }) => target === path) || undefined);
      if (path === "/started") await once(socket, "data");
      socket.destroy();
      await until("the upstream's connection closes", () => closed > before || undefined);
    }
  });

  test("a slow reader slows the upstream down instead of filling memory", async () => {
    const total = 64 * 1024 * 1024;
    let written = 0;
    await using upstream = await startHttpServer(
      (_request, { response }) => {
        response.writeHead(200, { "Content-Length": total });
        const chunk = Buffer.alloc(64 * 1024);
        const more = () => {
          while (written < total) {
            written += chunk.length;
            if (!response.write(chunk)) return void response.once("drain", more);
          }
          response.end();
        };
        more();
        return undefined;
      },
      { readBody: false },
    );
    const proxy = await startProxy({ baseUrl: upstream.url });
    const socket = connect(proxy.port, "127.0.0.1");
    socket.pause();
    socket.write(`GET /${LINK_ID}/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${credentialLines()}\r\n`);
    let before = -1;
    await until("the upstream is stopped", async () => {
      const isStill = written > 0 && written === before;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return isStill || undefined;
    });
    expect(written).toBeLessThan(total / 2);
    let received = 0;
    socket.on("data", (chunk) => {
      received += chunk.length;
    });
    socket.resume();
    await once(socket, "close");
    expect(received).toBeGreaterThan(total);
  });

  test("an upstream that answers before it has read the body does not cost the client its answer", async () => {
    const upstream = await startRawUpstream((socket) => {
      socket.end("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    });
    const proxy = await startProxy({ baseUrl: upstream.url });
    const answer = await proxy.call("/x", { method: "POST", body: Buffer.alloc(5_000_000) });
    expect([answer.status, await answer.text()]).toEqual([413, "big"]);
  });
});

describe("request bodies", () => {
  test("a declared length over the link's limit is refused at once", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url, link: { requestBodyMaxBytes: 1000 } });
    const head = `POST /${LINK_ID}/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1001\r\nConnection: close\r\n\r\n`;
    const answer = await rawExchange(proxy.port, head + "a".repeat(1001));
    expect(answer).toContain("X-Conduit-Error: body_too_large");
    expect(upstream.requests).toEqual([]);
  });

  test("a streamed body is counted, and the upstream never sees its end", async () => {
    await using upstream = await startHttpServer();
    const proxy = await startProxy({ baseUrl: upstream.url, link: { requestBodyMaxBytes: 100_000 } });
    const stream = new Blob([Buffer.alloc(400_000)]).stream();
    const answer = await outcomeOf(proxy.call("/x", { method: "POST", body: stream, duplex: "half" } as RequestInit));
    expect(answer).toBe("413 body_too_large");
    expect(upstream.requests).toEqual([]);
  });
});

test("more requests than sockets wait their turn; more than can wait are refused", async () => {
  const release: (() => void)[] = [];
  await using upstream = await startHttpServer(
    () => new Promise((resolve) => release.push(() => resolve({ body: "ok" }))),
  );
  const proxy = await startProxy({
    baseUrl: upstream.url,
    socketsMax: 1,
    link: { upstream: { connectTimeoutMs: 300 } },
  });
  const first = outcomeOf(proxy.call("/1"));
  await until("the first arrives", () => release.length === 1 || undefined);
  const second = outcomeOf(proxy.call("/2"));
  expect(await second).toBe("503 upstream_overloaded");
  const third = outcomeOf(proxy.call("/3"));
  release[0]?.();
  expect(await first).toBe("200 ok");
  await until("the waiting one arrives", () => release.length === 2 || undefined);
  release[1]?.();
  expect(await third).toBe("200 ok");
  expect(upstream.connections).toBe(1);
});
