// What a snapshot of a large installation costs the server: time, memory beside the result, pauses of the event loop.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureHead } from "../../server/src/config-log/epoch.ts";
import { buildSnapshot } from "../../server/src/config-log/snapshot-build.ts";
import { systemRandom } from "../../server/src/random.ts";
import type { Store } from "../../server/src/store/store.ts";
import { silent } from "../config-log/changes.ts";
import { openTestStore } from "../support/store.ts";

let store: Store;
beforeAll(async () => {
  store = await openTestStore("postgres");
  await ensureHead({ store, random: systemRandom, log: silent });
}, 60_000);
afterAll(() => store.close());

const MIB = 1024 * 1024;

/** Adds resources with payloads of the size that such a resource has. */
const fill = (kind: string, name: string, bytes: number, count: number) =>
  store.transaction((tx) =>
    tx.execute(sql`insert into config_current (fleet, kind, name, version, payload)
      select 'default', ${kind}, ${name} || lpad(to_hex(at), 24, '0'), 1, decode(repeat(md5(at::text), ${bytes / 16}::int), 'hex')
      from generate_series(1, ${count}::int) as at`),
  );

test.each([
  ["100,000 links", "link", "projects/p/links/", 800, 100_000],
  ["1,000,000 revocations beside them", "revocation", "00000000", 64, 1_000_000],
])(
  "a snapshot of %s",
  async (what, kind, name, bytes, count) => {
    // In parts: a statement may take 15 s.
    for (let at = 0; at < count; at += 250_000)
      await fill(kind, `${name}${at / 250_000}`, bytes, Math.min(count, 250_000));
    const delays = monitorEventLoopDelay({ resolution: 5 });
    const before = process.memoryUsage().rss;
    let peak = 0;
    const watching = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss - before);
    }, 10);
    delays.enable();
    const start = performance.now();
    const cpu = process.cpuUsage();
    const { chunks } = await buildSnapshot(store);
    const { user, system } = process.cpuUsage(cpu);
    const tookMs = performance.now() - start;
    delays.disable();
    clearInterval(watching);
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    process.stdout.write(
      `snapshot of ${what}: ${(tookMs / 1_000).toFixed(2)} s, ${((user + system) / 1_000_000).toFixed(2)} s of CPU, ` +
        `${(size / MIB).toFixed(0)} MiB in ${chunks.length} chunks, memory at most ${(peak / MIB).toFixed(0)} MiB more, ` +
        `event loop held for p99 ${(delays.percentile(99) / 1e6).toFixed(0)} ms, at most ${(delays.max / 1e6).toFixed(0)} ms\n`,
    );
    expect(peak).toBeLessThan(size * 1.5 + 250 * MIB);
    for (const chunk of chunks) expect(chunk.length).toBeLessThan(2 * MIB);
  },
  300_000,
);
