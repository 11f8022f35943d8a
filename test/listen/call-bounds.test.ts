import { create } from "@bufbuild/protobuf";
import { ConfigService } from "@conduit-link/proto/conduit/v1/config_service_pb";
import {
  MintTokenRequestSchema,
  MintTokenResponseSchema,
  TokenService,
} from "@conduit-link/proto/conduit/v1/token_service_pb";
import { createContextValues, type Interceptor } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { callBounds, stoppingReason } from "../../server/src/listen/call-bounds.ts";

type Next = Parameters<Interceptor>[0];
type Request = Parameters<Next>[0];

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const common = (signal: AbortSignal) => ({
  service: TokenService,
  requestMethod: "POST",
  url: "http://localhost/",
  signal,
  header: new Headers(),
  contextValues: createContextValues(),
});
const unary = (signal = new AbortController().signal): Request => ({
  ...common(signal),
  stream: false,
  method: TokenService.method.mintToken,
  message: create(MintTokenRequestSchema),
});
const stream = (signal = new AbortController().signal): Request => ({
  ...common(signal),
  service: ConfigService,
  stream: true,
  method: ConfigService.method.watchConfig,
  message: (async function* () {})(),
});
const never: Next = () => new Promise(() => {});
const bound = (next: Next, stopping = new AbortController().signal) => callBounds({ stopping })(next);

test("a unary call ends after 60 s and not before, and its implementation is told", async () => {
  let signal: AbortSignal | undefined;
  const call = bound((request) => {
    signal = request.signal;
    return never(request);
  })(unary());
  const outcome = call.catch((cause: unknown) => cause);
  await vi.advanceTimersByTimeAsync(59_999);
  expect(signal?.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await outcome).toMatchObject({ code: "deadline_exceeded" });
  expect(signal?.aborted).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test("a unary call ends at once when its caller goes, also before it began", async () => {
  const gone = new AbortController();
  const call = bound(never)(unary(gone.signal));
  gone.abort(new Error("gone"));
  await expect(call).rejects.toThrow("gone");
  await expect(bound(never)(unary(gone.signal))).rejects.toThrow("gone");
  expect(vi.getTimerCount()).toBe(0);
});

test("a unary call whose caller is gone is not begun", async () => {
  let isBegun = false;
  const begin: Next = (request) => {
    isBegun = true;
    return never(request);
  };
  await expect(bound(begin)(unary(AbortSignal.abort(new Error("gone"))))).rejects.toThrow("gone");
  expect(isBegun).toBe(false);
});

test("a unary call in flight survives the listener's stop", async () => {
  const stopping = new AbortController();
  const answer = Promise.withResolvers<Awaited<ReturnType<Next>>>();
  const call = bound(() => answer.promise, stopping.signal)(unary());
  stopping.abort(stoppingReason());
  const message = create(MintTokenResponseSchema, { accessToken: "late" });
  const { method, service } = { method: TokenService.method.mintToken, service: TokenService };
  answer.resolve({ stream: false, method, service, message, header: new Headers(), trailer: new Headers() });
  expect(await call).toMatchObject({ message: { accessToken: "late" } });
});

test("a stream that ends quietly because the listener stops ends with not_ready, never as complete", async () => {
  const stopping = new AbortController();
  const response = await bound(async ({ signal }) => {
    const quiet = async function* () {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    };
    const { method, service } = { method: ConfigService.method.watchConfig, service: ConfigService };
    return { stream: true, method, service, message: quiet() as never, header: new Headers(), trailer: new Headers() };
  }, stopping.signal)(stream());
  if (!response.stream) throw new TypeError("not a stream");
  const next = response.message[Symbol.asyncIterator]().next();
  stopping.abort(stoppingReason());
  await expect(next).rejects.toMatchObject({ code: "not_ready" });
});
