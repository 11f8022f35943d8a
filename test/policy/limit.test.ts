import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LINK_DEFAULTS, type Limit } from "../../server/src/model/link.ts";
import { compileLimit, fullAtMs, type LimitIdentity, type LimitState, reserve } from "../../server/src/policy/limit.ts";
import { NOW_MS } from "../judge/sample.ts";

const DAY_MS = 86_400_000;
const perUser: Limit = LINK_DEFAULTS.limit;

/** A bucket with its clock. */
function bucket(limit: Limit, startMs = NOW_MS) {
  let state: LimitState;
  let now = startMs;
  const take = () => {
    const decision = reserve(state, limit, now);
    state = decision.state;
    return decision;
  };
  return {
    take,
    wait: (ms: number) => {
      now += ms;
    },
    takeAll: (attempts: number) => Array.from({ length: attempts }, take).filter(({ isAllowed }) => isAllowed).length,
    state: () => state,
  };
}

describe("GCRA", () => {
  test("exactly `burst` pass at once, then one per interval, exact to the millisecond", () => {
    const { take, takeAll, wait } = bucket(perUser);
    expect(takeAll(5000)).toBe(20);
    wait(999);
    expect(take().isAllowed).toBe(false);
    wait(1);
    expect([take().isAllowed, take().isAllowed]).toEqual([true, false]);
    wait(20_000);
    expect(takeAll(5000)).toBe(20);
  });

  test("r, t and Retry-After say what then holds", () => {
    const { take, takeAll, wait } = bucket(perUser);
    expect(take()).toMatchObject({ isAllowed: true, remaining: 19, resetSeconds: 1, retryAfterSeconds: 0 });
    expect(take()).toMatchObject({ remaining: 18, resetSeconds: 2 });
    takeAll(17);
    expect(take()).toMatchObject({ isAllowed: true, remaining: 0, resetSeconds: 20, retryAfterSeconds: 1 });
    wait(500);
    const refused = take();
    expect(refused).toMatchObject({ isAllowed: false, remaining: 0, resetSeconds: 20, retryAfterSeconds: 1 });
    wait(refused.retryAfterSeconds * 1000);
    expect(take().isAllowed).toBe(true);
  });

  test("a refused request takes nothing", () => {
    const { take, takeAll, wait, state } = bucket(perUser);
    takeAll(20);
    const before = state();
    takeAll(1000);
    expect(state()).toBe(before);
    wait(1000);
    expect(take().isAllowed).toBe(true);
  });

  test("for any limit: the burst at once, the rate after it, and Retry-After is enough", () => {
    const limits = fc.record({
      name: fc.constant("l"),
      key: fc.constant("link"),
      requests: fc.integer({ min: 1, max: 1_000_000 }),
      windowMs: fc.integer({ min: 1000, max: DAY_MS }),
      burst: fc.integer({ min: 1, max: 300 }),
    });
    fc.assert(
      fc.property(limits, fc.constantFrom(0, 5e6, NOW_MS), (limit, startMs) => {
        const { take, takeAll, wait } = bucket(limit, startMs);
        expect(takeAll(limit.burst + 50)).toBe(limit.burst);
        const refused = take();
        expect(refused.isAllowed).toBe(false);
        wait(refused.retryAfterSeconds * 1000);
        expect(take().isAllowed).toBe(true);
        wait(refused.resetSeconds * 1000 + limit.windowMs / limit.requests);
        expect(take().remaining).toBe(limit.burst - 1);
      }),
    );
  });

  test("never more than burst + rate × time passes", () => {
    const limit: Limit = { ...perUser, requests: 7, windowMs: 1000, burst: 3 };
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 200 }), (pauses) => {
        const { take, wait } = bucket(limit);
        let passed = 0;
        let elapsed = 0;
        for (const pause of pauses) {
          wait(pause);
          elapsed += pause;
          passed += take().isAllowed ? 1 : 0;
          expect(passed).toBeLessThanOrEqual(3 + (elapsed * 7) / 1000 + 1e-6);
        }
      }),
    );
  });

  test.each([-DAY_MS, DAY_MS])(
    "a clock jump of %d ms gives no unlimited window and no lock-out beyond one",
    (jumpMs) => {
      const { take, takeAll, wait } = bucket(perUser);
      takeAll(20);
      wait(jumpMs);
      expect(takeAll(5000)).toBeLessThanOrEqual(20);
      wait(1000);
      expect(take().isAllowed).toBe(true);
      expect(takeAll(5000)).toBe(0);
    },
  );

  test("a bucket can be forgotten when it is full again", () => {
    const { takeAll, state } = bucket(perUser, 0);
    takeAll(5);
    expect(fullAtMs(state() ?? 0, perUser)).toBeCloseTo(5000);
  });
});

describe("keys", () => {
  const identity = (change: Partial<LimitIdentity> = {}): LimitIdentity => ({
    linkToken: "projects/p/links/l/tokens/t",
    issuer: "projects/p/issuers/i",
    claims: { sub: "42", tenant: "acme", n: 5, o: {} },
    clientAddress: "192.0.2.7",
    ...change,
  });
  const anonymous = { issuer: undefined, claims: undefined };
  const bucketOf = (key: string, change: Partial<LimitIdentity> = {}) => {
    const compiled = compileLimit({ ...perUser, key });
    if ("problem" in compiled) throw new Error(compiled.problem);
    return compiled.value.bucketOf(identity(change));
  };

  test("a subject is issuer and sub, from wherever it calls", () => {
    expect(bucketOf("subject")).toEqual(bucketOf("subject", { clientAddress: "198.51.100.1", linkToken: undefined }));
    expect(bucketOf("subject")).not.toEqual(bucketOf("subject", { issuer: "projects/p/issuers/other" }));
    expect(bucketOf("subject")).not.toEqual(bucketOf("subject", { claims: { sub: "43" } }));
  });

  test("without a sub it is link token and address", () => {
    expect(bucketOf("subject", anonymous)).toEqual(bucketOf("subject", { claims: {} }));
    expect(bucketOf("subject", anonymous)).not.toEqual(bucketOf("subject", { ...anonymous, linkToken: "other" }));
    expect(bucketOf("subject", anonymous)).not.toEqual(
      bucketOf("subject", { ...anonymous, clientAddress: "192.0.2.8" }),
    );
  });

  test("callers without a link token do not share one bucket", () => {
    const strangers = ["192.0.2.7", "192.0.2.8"].map((clientAddress) =>
      bucketOf("link_token", { linkToken: undefined, clientAddress }),
    );
    expect(strangers[0]).not.toEqual(strangers[1]);
    expect(bucketOf("link_token")).toEqual(bucketOf("link_token", { clientAddress: "192.0.2.8" }));
  });

  test("an IPv6 client is its /64; an IPv4-mapped one its IPv4 address", () => {
    const at = (clientAddress: string) => bucketOf("client_address", { clientAddress });
    expect(at("2001:db8:1:2:3:4:5:6")).toEqual(at("2001:db8:1:2::1"));
    expect(at("2001:db8:1:2::1")).not.toEqual(at("2001:db8:1:3::1"));
    expect(at("::ffff:192.0.2.7")).toEqual(at("192.0.2.7"));
    expect(at("192.0.2.7")).not.toEqual(at("192.0.2.8"));
  });

  test("a claim counts per issuer, and refuses where it is missing or no text", () => {
    expect(bucketOf("jwt.tenant")).not.toEqual(bucketOf("jwt.tenant", { issuer: "other" }));
    expect(bucketOf('jwt["tenant"]')).toEqual(bucketOf("jwt.tenant"));
    expect(bucketOf("jwt.gone")).toEqual({ missingClaim: "gone" });
    expect(bucketOf("jwt.o")).toEqual({ missingClaim: "o" });
    expect(bucketOf("jwt.tenant", anonymous)).toEqual({ missingClaim: "tenant" });
  });

  test("no chosen value can imitate another's bucket", () => {
    const keys = ["subject", "link_token", "link", "client_address", "jwt.sub"];
    const text = fc.string({ unit: fc.constantFrom("a", "\n", "|", "subject", "caller"), maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.constantFrom(...keys), text, text, (a, b, one, two) => {
        fc.pre(a !== b || one !== two);
        const of = (key: string, sub: string) => bucketOf(key, { claims: { sub } });
        if (a === b && a !== "subject" && a !== "jwt.sub") return;
        expect(of(a, one)).not.toEqual(of(b, two));
      }),
    );
  });

  test.each(["", "sub", "jwt", "jwt.", "jwt.a b", "jwt.[a]", "constructor", "toString"])(
    "the key %j is refused",
    (key) => {
      expect(compileLimit({ ...perUser, key })).toHaveProperty("problem");
    },
  );
});
