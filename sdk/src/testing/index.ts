export { createFakeClock, type FakeClock } from "./fake-clock.ts";
export { createFakeProxy, type FakeProxy, type FakeProxyOptions, type ReceivedRequest } from "./fake-proxy.ts";
export { type MakeTokenOptions, makeToken, TEST_SECRET } from "./make-token.ts";
