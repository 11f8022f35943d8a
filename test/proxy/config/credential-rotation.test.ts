// A rotation that is killed anywhere: one of the credentials on disk is accepted, one opens the snapshot, the next start goes on.
import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema } from "@conduit-link/proto/google/rpc/error_details_pb";
import { StatusSchema } from "@conduit-link/proto/google/rpc/status_pb";
import { Metadata } from "@grpc/grpc-js";
import { pino } from "pino";
import { describe, expect, it, test } from "vitest";
import { SecretText } from "../../../server/src/model/secret-text.ts";
import type { ControlClient } from "../../../server/src/proxy/config/control-client.ts";
import { CredentialRotation } from "../../../server/src/proxy/config/credential-rotation.ts";
import { refusalReasonOf } from "../../../server/src/proxy/config/refusal-reason.ts";
import { systemRandom } from "../../../server/src/random.ts";

const FIRST = "cl_prx_first";
const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");

/** What gRPC hands over when a call is refused with this reason. */
function refusal(reason: string): Error {
  const info = anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain: "conduit.link" }));
  const metadata = new Metadata();
  const status = create(StatusSchema, { code: 16, details: [info] });
  metadata.add("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  return Object.assign(new Error("16 UNAUTHENTICATED"), { code: 16, metadata });
}

/** Steps of a rotation, in order; a crash comes right before or right after one of them. */
const STEPS = ["keepNext", "register", "confirm", "reseal", "promoteNext"] as const;
type Step = (typeof STEPS)[number];

/** A disk and a control plane that outlive the process. */
function world() {
  const state = {
    disk: { current: FIRST, next: undefined as string | undefined, sealedBy: FIRST },
    control: { current: hashOf(FIRST), previous: undefined as string | undefined },
    crash: undefined as { readonly at: Step; readonly isDone: boolean } | undefined,
  };
  const crashed = new Promise<never>(() => undefined);

  /** A process that is killed never goes on: nothing after the crash happens. */
  async function step(name: Step, act: () => void): Promise<void> {
    if (state.crash?.at === name && !state.crash.isDone) return crashed;
    act();
    if (state.crash?.at === name) return crashed;
  }
  function start() {
    let isDead = false;
    const log = pino({ level: "silent" });
    const sync = (name: Step, act: () => void): void => {
      if (state.crash?.at === name && !state.crash.isDone) isDead = true;
      if (isDead) throw new Error("killed");
      act();
      if (state.crash?.at === name) isDead = true;
      if (isDead) throw new Error("killed");
    };
    const { current, next } = state.disk;
    const held = {
      credential: new SecretText(current),
      nextCredential: next === undefined ? undefined : new SecretText(next),
      credentialFiles: {
        keepNext: (text: SecretText) =>
          sync("keepNext", () => {
            state.disk.next = text.reveal();
          }),
        promoteNext: () =>
          sync("promoteNext", () => {
            state.disk.current = state.disk.next ?? "";
            state.disk.next = undefined;
          }),
      },
    };
    const rotation: CredentialRotation = new CredentialRotation(held, {
      ...{ random: systemRandom, log },
      async reseal(credential) {
        await step("reseal", () => {
          state.disk.sealedBy = credential.reveal();
        });
        return true;
      },
    });
    const authenticate = (): string => {
      const hash = hashOf(rotation.sent.reveal());
      if (hash === state.control.current) state.control.previous = undefined;
      else if (hash !== state.control.previous) throw refusal("CREDENTIAL_INVALID");
      return hash;
    };
    const client = {
      async rotateCredential(sha256: Uint8Array) {
        const next = Buffer.from(sha256).toString("hex");
        const isFirstUse = hashOf(rotation.sent.reveal()) === next;
        await step(isFirstUse ? "confirm" : "register", () => {
          const shown = authenticate();
          if (next === state.control.current) return;
          state.control = { current: next, previous: state.control.previous ?? shown };
        });
      },
    } as ControlClient;
    return { rotation, client };
  }
  return { state, start };
}

const crashes = STEPS.flatMap((at) => [false, true].map((isDone) => ({ at, isDone })));

describe("a proxy that is killed while it rotates", () => {
  it.each(crashes)("$at, done: $isDone: goes on after its next start", async (crash) => {
    const { state, start } = world();
    state.crash = crash;
    const { rotation, client } = start();
    void rotation.rotate(client);
    await new Promise((resolve) => setImmediate(resolve));

    const onDisk = [state.disk.current, state.disk.next].filter((text) => text !== undefined);
    const accepted = [state.control.current, state.control.previous];
    expect(onDisk.some((text) => accepted.includes(hashOf(text)))).toBe(true);
    expect(onDisk).toContain(state.disk.sealedBy);

    state.crash = undefined;
    const again = start();
    const isFinished = crash.at === "promoteNext" && crash.isDone;
    const isNotBegun = crash.at === "keepNext" && !crash.isDone;
    expect(again.rotation.isUnfinished).toBe(!isFinished && !isNotBegun);
    await again.rotation.rotate(again.client);
    expect(again.rotation.isUnfinished).toBe(false);
    const { current, next, sealedBy } = state.disk;
    expect({ next, sealedBy, isNew: current !== FIRST }).toEqual({ next: undefined, sealedBy: current, isNew: true });
    expect(state.control).toEqual({ current: hashOf(current), previous: undefined });
    expect(again.rotation.sent.reveal()).toBe(current);
  });
});

test("calls that come meanwhile share the rotation; a lost answer is made good by the next", async () => {
  const { state, start } = world();
  const { rotation, client } = start();
  let isLost = true;
  const lossy = {
    async rotateCredential(sha256: Uint8Array) {
      await client.rotateCredential(sha256);
      if (isLost) throw new Error("14 UNAVAILABLE");
    },
  } as ControlClient;
  await Promise.all([rotation.rotate(lossy), rotation.rotate(lossy)]);
  expect(rotation.isUnfinished).toBe(true);
  expect(rotation.sent.reveal()).toBe(FIRST);
  isLost = false;
  await rotation.rotate(lossy);
  expect(state.control.current).toBe(hashOf(rotation.sent.reveal()));
  expect(state.disk.current).toBe(rotation.sent.reveal());
});

test("a credential from the environment stays", async () => {
  const effects = { random: systemRandom, log: pino({ level: "silent" }), reseal: async () => true };
  const rotation = new CredentialRotation({ credential: new SecretText(FIRST) }, effects);
  const asked: unknown[] = [];
  const client = { rotateCredential: async (sha256: Uint8Array) => void asked.push(sha256) } as ControlClient;
  await rotation.rotate(client);
  expect([asked, rotation.sent.reveal()]).toEqual([[], FIRST]);
});

test.each([
  ["no error at all", undefined],
  ["an error without metadata", new Error("x")],
  ["metadata without details", Object.assign(new Error("x"), { metadata: new Metadata() })],
])("%s has no reason", (_what, cause) => {
  expect(refusalReasonOf(cause)).toBeUndefined();
});
