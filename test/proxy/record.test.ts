// What is written down of a request, and what never is (promises.md S17).

import { pino } from "pino";
import { expect, test } from "vitest";
import { UsageCounter } from "../../server/src/proxy/usage/usage-counter.ts";
import { type UsageBatch, UsageReporter } from "../../server/src/proxy/usage/usage-reporter.ts";
import { systemRandom } from "../../server/src/random.ts";
import { startHttpServer } from "../support/http-server.ts";
import { HIDDEN_KEY, HMAC_SECRET, LINK_NAME, LINK_TOKEN, startProxy, userToken } from "./harness.ts";

const silent = pino({ level: "silent" });

test("one log line, one count and one measurement per request, refused ones included", async () => {
  await using upstream = await startHttpServer(() => ({ body: "four" }));
  const proxy = await startProxy({ baseUrl: upstream.url });
  await (await proxy.call("/a", { method: "POST", body: "12345" })).text();
  await (await proxy.call("/b", { headers: { "x-access-token": "wrong" } })).text();
  await (await fetch(`http://127.0.0.1:${proxy.port}/nowhere/x`)).text();
  const lines = proxy.logLines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === "request");
  expect(
    lines.map(({ method, link, status, outcome, subject, received_bytes, sent_bytes }) => ({
      method,
      link,
      status,
      outcome,
      subject,
      received_bytes,
      sent_bytes,
    })),
  ).toEqual([
    {
      method: "POST",
      link: "demo-link",
      status: 200,
      outcome: "ok",
      subject: "user-1",
      received_bytes: 5,
      sent_bytes: 4,
    },
    {
      method: "GET",
      link: "demo-link",
      status: 401,
      outcome: "link_token_invalid",
      subject: "",
      received_bytes: 0,
      sent_bytes: expect.any(Number),
    },
    {
      method: "GET",
      link: "",
      status: 404,
      outcome: "link_unknown",
      subject: "",
      received_bytes: 0,
      sent_bytes: expect.any(Number),
    },
  ]);
  expect(
    proxy.usage
      .take()
      ?.map(({ link, subject, outcome, statusClass, requests }) => [link, subject, outcome, statusClass, requests]),
  ).toEqual([
    [LINK_NAME, "user-1", "ok", 2, 1],
    [LINK_NAME, "", "link_token_invalid", 4, 1],
    ["", "", "link_unknown", 4, 1],
  ]);
  const metrics = await proxy.registry.metrics();
  expect(metrics).toContain('conduit_proxy_requests_total{link="demo-link",outcome="ok",status_class="2xx"} 1');
  expect(metrics).toContain("conduit_proxy_requests_in_flight 0");
  expect(metrics).toContain("conduit_proxy_request_duration_seconds_count 3");
});

test("no value of a header, query or body, no token and no key is in a log line, answer or metric", async () => {
  const canary = "canary-7d1f";
  await using upstream = await startHttpServer((_request) => ({ headers: { "x-echo": HIDDEN_KEY }, body: "ok" }));
  const proxy = await startProxy({ baseUrl: upstream.url, link: { debug: "ON" } });
  const token = userToken();
  const headers = { authorization: `Bearer ${token}`, "x-own": canary, "x-debug-jwt": "true" };
  const answers = [
    await proxy.call(`/x?q=${canary}`, { method: "POST", body: canary, headers }),
    await proxy.call(`/x?q=${canary}`, { headers: { ...headers, authorization: `Bearer ${token.slice(0, -4)}AAAA` } }),
    await proxy.call(`/x?q=${canary}`, { headers: { ...headers, "x-access-token": `${LINK_TOKEN}x` } }),
  ];
  await upstream.close();
  answers.push(await proxy.call(`/x?q=${canary}`, { headers }));
  const texts = await Promise.all(
    answers.map(async (answer) => JSON.stringify([...answer.headers]) + (await answer.text())),
  );
  const everything = [
    ...texts,
    ...proxy.logLines,
    await proxy.registry.metrics(),
    JSON.stringify(proxy.usage.take()),
  ].join("\n");
  expect(answers.map(({ status }) => status)).toEqual([200, 401, 401, 502]);
  for (const secret of [canary, token, LINK_TOKEN, HIDDEN_KEY, HMAC_SECRET]) expect(everything).not.toContain(secret);
});

test("counts are kept and sent again under their first id until they are acknowledged", async () => {
  const counter = new UsageCounter();
  const sent: UsageBatch[] = [];
  let isAway = true;
  const send = async (batch: UsageBatch) => {
    sent.push(batch);
    if (isAway) throw new Error("away");
  };
  const reporter = new UsageReporter(counter, send, systemRandom, silent);
  const count = (link: string) => counter.add({ link, subject: "", outcome: "ok", status: 200 }, 120_500);
  count("a");
  await reporter.flush();
  count("a");
  count("a");
  await reporter.flush();
  isAway = false;
  await reporter.stop();
  const [first, second, third, fourth] = sent;
  expect([second?.batchId, third?.batchId]).toEqual([first?.batchId, first?.batchId]);
  expect(third?.increments).toEqual([
    { minuteMs: 120_000, link: "a", subject: "", outcome: "ok", statusClass: 2, requests: 1 },
  ]);
  expect(fourth?.increments[0]?.requests).toBe(2);
  expect(sent).toHaveLength(4);
});

test("a million subjects are counted in bounded rows, and the sum stays right", () => {
  const counter = new UsageCounter();
  for (let at = 0; at < 50_000; at += 1) counter.add({ link: "l", subject: `s${at}`, outcome: "ok", status: 200 }, 0);
  const rows = counter.take() ?? [];
  expect(rows.length).toBeLessThanOrEqual(10_000);
  expect(rows.reduce((sum, { requests }) => sum + requests, 0)).toBe(50_000);
});
