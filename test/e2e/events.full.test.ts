// Server-sent events of the demo upstream through a real proxy, over the end of short tokens.
import { expect, test } from "vitest";
import { type ServerEvent, streamEvents } from "../../sdk/src/events/index.ts";
import { createConduit } from "../../sdk/src/index.ts";
import { signUserToken } from "../../sdk/src/server/index.ts";
import { startConduit } from "../support/conduit.ts";

test("a stream outlives its tokens: the proxy says that one has expired, and the next connection has a fresh one", async () => {
  await using conduit = await startConduit("dev");
  const { dev } = conduit;
  let tokens = 0;
  const client = createConduit({
    url: `${dev.proxy_url}/${dev.link_id}`,
    linkToken: dev.link_token,
    autoRefresh: false,
    getToken: () => {
      tokens++;
      const claims = { email: "ada@example.com" };
      return signUserToken({ sub: "123", claims, secret: dev.hs256_secret, issuer: dev.iss, expiresIn: "4s" });
    },
  });
  const controller = new AbortController();
  const events: ServerEvent[] = [];
  const waits: [delayMs: number, cause: unknown][] = [];
  let connections = 0;
  const stream = streamEvents(client, "/events", {
    signal: controller.signal,
    onOpen: () => void connections++,
    onReconnect: (...wait) => void waits.push(wait),
    onEvent(event) {
      events.push(event);
      if (connections === 3 && events.length > 5) controller.abort(new Error("enough"));
    },
  });
  await expect(stream).rejects.toThrow("enough");
  expect(waits).toEqual([
    [0, undefined],
    [0, undefined],
  ]);
  expect(tokens).toBe(3);
  client.dispose();
}, 60_000);
