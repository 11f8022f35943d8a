import { expect, test } from "vitest";
import { startHttpServer } from "../support/http-server.ts";
import { HIDDEN_KEY, INSTALLATION_ID, LINK_TOKEN, startProxy, userToken } from "./harness.ts";

test("a request with both credentials reaches the upstream with the hidden key and neither token", async () => {
  await using upstream = await startHttpServer(() => ({ body: { fine: true } }));
  const proxy = await startProxy({ baseUrl: `${upstream.url}/v1/` });
  const token = userToken();
  const answer = await proxy.call("/things/a%20b?x=1&y=%2F", { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ fine: true });
  const [seen] = upstream.requests;
  expect(seen?.target).toBe("/v1/things/a%20b?x=1&y=%2F");
  expect(seen?.header("x-api-key")).toEqual([HIDDEN_KEY]);
  expect(seen?.header("x-user-id")).toEqual(["user-1"]);
  expect(seen?.header("host")).toEqual([`127.0.0.1:${upstream.port}`]);
  expect(seen?.header("via")).toEqual([`1.1 conduit-${INSTALLATION_ID.slice(0, 8)}`]);
  expect(seen?.header("x-request-id")).toEqual([answer.headers.get("x-request-id")]);
  const everything = JSON.stringify(seen);
  expect(everything).not.toContain(token);
  expect(everything).not.toContain(LINK_TOKEN);
});

test("a body streams through in both directions", async () => {
  await using upstream = await startHttpServer((request) => ({ body: request.body }));
  const proxy = await startProxy({ baseUrl: upstream.url });
  const body = Buffer.alloc(3_000_000, "abc");
  const known = await proxy.call("/echo", { method: "POST", body });
  expect(Buffer.from(await known.arrayBuffer()).equals(body)).toBe(true);
  const stream = new Blob([body]).stream();
  const chunked = await proxy.call("/echo", { method: "POST", body: stream, duplex: "half" } as RequestInit);
  expect(Buffer.from(await chunked.arrayBuffer()).equals(body)).toBe(true);
});
