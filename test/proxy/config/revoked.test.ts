// A proxy that is told that it was revoked, and what lies on the disk of one whose credential is replaced.
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { StatusSchema } from "@conduit-link/proto/google/rpc/status_pb";
import { status as grpcStatus, Metadata } from "@grpc/grpc-js";
import { pino } from "pino";
import { expect, test } from "vitest";
import { systemClock } from "../../../server/src/clock.ts";
import { SecretText } from "../../../server/src/model/secret-text.ts";
import { RevocationIndex } from "../../../server/src/policy/revocation.ts";
import { DiskSnapshot } from "../../../server/src/proxy/config/disk-snapshot.ts";
import { HeldState } from "../../../server/src/proxy/config/state.ts";
import { systemRandom } from "../../../server/src/random.ts";
import { startHttpServer } from "../../support/http-server.ts";
import { tmpDirOfTest } from "../../support/tmp-dir.ts";
import { until } from "../../support/until.ts";
import { demoResources, FakeLog, fleetKey, startFakeControl } from "./fake-control.ts";
import { startPlane } from "./plane.ts";

const MINUTE_MS = 60_000;

/** As the control plane ends a stream of a proxy that was revoked. */
function revoked() {
  const info = anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "PROXY_REVOKED", domain: "conduit.link" }));
  const metadata = new Metadata();
  const details = create(StatusSchema, { code: grpcStatus.UNAUTHENTICATED, details: [info] });
  metadata.add("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, details)));
  return { code: grpcStatus.UNAUTHENTICATED, details: "This proxy has been revoked", metadata };
}

test("a revoked proxy is not ready at once, says so in the log, serves five minutes more and then refuses everything", async () => {
  await using upstream = await startHttpServer();
  const log = new FakeLog();
  log.commit(...demoResources(upstream.url));
  const control = await startFakeControl((call, index) => {
    if (index > 0) {
      call.emit("error", revoked());
      return;
    }
    call.write(log.hello(true));
    for (const chunk of log.snapshot()) call.write(chunk);
  });
  let laterMs = 0;
  const clock = { now: () => systemClock.now() + laterMs, monotonic: () => systemClock.monotonic() + laterMs };
  const { plane, status, call, logLines } = await startPlane([control.port], tmpDirOfTest(), { clock });
  await plane.whenReady();
  expect([await status(), plane.notReady()]).toEqual([200, undefined]);
  control.watches[0]!.call.emit("error", revoked());
  await until("it knows", () => (plane.status().isRevoked ? true : undefined));
  expect(plane.notReady()).toBe("this proxy has been revoked");
  expect(logLines.join("")).toContain("THIS PROXY HAS BEEN REVOKED");
  laterMs += 4 * MINUTE_MS;
  expect(await status()).toBe(200);
  laterMs += MINUTE_MS;
  const refused = await call();
  expect([refused.status, refused.headers.get("x-conduit-error")]).toEqual([503, "config_stale"]);
  expect(upstream.requests).toHaveLength(2);
});

test("what is on disk opens under the next credential once it is sealed anew, and no more under the old one", async () => {
  const dataDir = tmpDirOfTest();
  const [old, next] = [new SecretText("cl_prx_old"), new SecretText("cl_prx_next")];
  const state = new HeldState(new RevocationIndex());
  state.moveTo("epoch-1", 7n);
  const fleet = { installationId: "i", fleetKey, fleetKeyBytes: new Uint8Array(32).fill(7) };
  const lines: string[] = [];
  const open = (credential: SecretText, nextCredential?: SecretText) =>
    new DiskSnapshot({
      ...{ dataDir, credential, nextCredential, random: systemRandom, clock: systemClock },
      log: pino({}, { write: (line: string) => void lines.push(line) }),
      current: () => ({ fleet, state, jwksSeeds: [], provenTimeMs: 1 }),
      onFailure: () => undefined,
    });
  const sequenceOf = async (disk: DiskSnapshot) => {
    const stored = await disk.read(new HeldState(new RevocationIndex()));
    return stored?.state.cursor?.sequence;
  };
  const disk = open(old);
  disk.wholeChanged();
  await disk.flush();
  expect(await sequenceOf(open(old, next))).toBe(7n);
  expect(await disk.reseal(next)).toBe(true);
  await disk.close();
  // Killed before the credential's file was replaced, and after.
  expect(await sequenceOf(open(old, next))).toBe(7n);
  expect(await sequenceOf(open(next))).toBe(7n);
  expect(lines).toEqual([]);
  expect(await sequenceOf(open(old))).toBeUndefined();
});
