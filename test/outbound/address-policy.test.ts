import { describe, expect, test } from "vitest";
import { addressRefusal, addressScope } from "../../server/src/outbound/address-policy.ts";

describe("addressScope", () => {
  const LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"];
  const PUBLIC = [
    ...[
      "8.8.8.8",
      "1.1.1.1",
      "100.63.255.255",
      "100.128.0.1",
      "172.15.0.1",
      "172.32.0.1",
      "192.0.1.1",
      "223.255.255.1",
    ],
    ...["2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"],
  ];
  const SPECIAL = [
    // IANA special-purpose registry, IPv4
    ...["0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.1"],
    ...["192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"],
    ...["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"],
    // cloud metadata: AWS and others, Alibaba, Oracle, Azure, AWS over IPv6
    ...["169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254"],
    // IPv6
    ...["::", "::2", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1"],
    ...["100::1", "2001::1", "2001:db8::1", "2001:2::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1"],
    ...["4000::1", "e000::1", "64:ff9b:1::808:808"],
    // carriers of an IPv4 address that is not public
    ...["::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"],
    // no addresses
    ...["", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "8.8.8.8.8", "1.1.1.256", "::g"],
  ];

  test.each(LOOPBACK)("%s is loopback", (address) => expect(addressScope(address)).toBe("loopback"));
  test.each(PUBLIC)("%s is public", (address) => expect(addressScope(address)).toBe("public"));
  test.each(SPECIAL)("%s is special", (address) => expect(addressScope(address)).toBe("special"));
});

describe("addressRefusal", () => {
  const ROWS: readonly (readonly [
    address: string,
    protocol: "http:" | "https:",
    allowPrivate: boolean,
    ok: boolean,
  ])[] = [
    ["8.8.8.8", "https:", false, true],
    ["8.8.8.8", "https:", true, true],
    ["8.8.8.8", "http:", false, false],
    ["8.8.8.8", "http:", true, false],
    ["127.0.0.1", "https:", false, false],
    ["127.0.0.1", "http:", false, false],
    ["127.0.0.1", "http:", true, true],
    ["127.0.0.1", "https:", true, true],
    ["10.0.0.1", "https:", false, false],
    ["10.0.0.1", "https:", true, true],
    ["10.0.0.1", "http:", true, false],
  ];
  test.each(ROWS)("%s over %s with allowPrivate %s: allowed is %s", (address, protocol, allowPrivate, ok) => {
    const refusal = addressRefusal(address, { protocol, allowPrivate });
    expect(refusal === undefined).toBe(ok);
    expect(refusal ?? "").not.toContain(address);
  });
});
