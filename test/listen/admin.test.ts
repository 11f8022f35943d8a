import { request } from "node:http";
import { Counter, Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { listenAdmin } from "../../server/src/listen/admin.ts";

async function start(notReady: () => string | undefined = () => undefined) {
  const registry = new Registry();
  new Counter({ name: "conduit_test_total", help: "Test", registers: [registry] }).inc(3);
  const listener = await listenAdmin({ port: 0, registry, notReady });
  onTestFinished(() => listener.drain(0));
  return { listener, url: `http://127.0.0.1:${listener.address.port}` };
}

test("says that it lives, whether it is ready and what it counted", async () => {
  let reason: string | undefined = "no configuration yet";
  const { url } = await start(() => reason);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const early = await fetch(`${url}/readyz`);
  expect([early.status, await early.text()]).toEqual([503, "no configuration yet\n"]);
  reason = undefined;
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const metrics = await fetch(`${url}/metrics`);
  expect(metrics.headers.get("content-type")).toContain("text/plain");
  expect(await metrics.text()).toContain("conduit_test_total 3");
});

test("answers reads of its three paths only", async () => {
  const { url } = await start();
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/__proto__`)).status).toBe(404);
  expect((await fetch(`${url}/constructor`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: "POST" })).status).toBe(405);
  expect((await fetch(`${url}/healthz`, { method: "HEAD" })).status).toBe(200);
});

test("listens on loopback, and not under a web page's name", async () => {
  const { listener } = await start();
  expect(listener.address.host).toBe("127.0.0.1");
  const status = await new Promise((resolve, reject) => {
    const headers = { host: "evil.example" };
    request({ host: "127.0.0.1", port: listener.address.port, path: "/metrics", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
  expect(status).toBe(421);
});
