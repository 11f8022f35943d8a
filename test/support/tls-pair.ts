// Self-signed certificates, made when a test file is loaded: no private key lies in the repository.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** PEM texts. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

/** DER tags (X.690). */
const TAG = { integer: 2, bitString: 3, octetString: 4, oid: 6, utf8: 12, generalizedTime: 24, sequence: 48, set: 49 };

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const bytes = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...bytes]), body]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(TAG.sequence, ...parts);
const oid = (hex: string): Buffer => der(TAG.oid, Buffer.from(hex, "hex"));
/** Constructed, context-specific. */
const explicit = (tag: number, ...parts: readonly Uint8Array[]): Buffer => der(0xa0 + tag, ...parts);

const ECDSA_SHA256 = sequence(oid("2a8648ce3d040302"));
const BASIC_CONSTRAINTS = "551d13";
const SUBJECT_ALT_NAME = "551d11";
const COMMON_NAME = "550403";
const TRUE = Buffer.from([1, 1, 255]);

const nameOf = (commonName: string): Buffer =>
  sequence(der(TAG.set, sequence(oid(COMMON_NAME), der(TAG.utf8, Buffer.from(commonName)))));

const validity = (): Buffer =>
  sequence(...["20200101000000Z", "21200101000000Z"].map((time) => der(TAG.generalizedTime, Buffer.from(time))));

function extensions(): Buffer {
  const alternativeNames = sequence(
    der(0x82, Buffer.from("localhost")),
    der(0x87, Buffer.from([127, 0, 0, 1])),
    der(0x87, Buffer.from([...new Array(15).fill(0), 1])),
  );
  return explicit(
    3,
    sequence(
      sequence(oid(BASIC_CONSTRAINTS), TRUE, der(TAG.octetString, sequence(TRUE))),
      sequence(oid(SUBJECT_ALT_NAME), der(TAG.octetString, alternativeNames)),
    ),
  );
}

function certificate(commonName: string, publicKey: KeyObject, privateKey: KeyObject): Buffer {
  const version = explicit(0, der(TAG.integer, Buffer.from([2])));
  const serial = der(TAG.integer, Buffer.concat([Buffer.from([1]), randomBytes(15)]));
  const name = nameOf(commonName);
  const spki = publicKey.export({ type: "spki", format: "der" });
  const content = sequence(version, serial, ECDSA_SHA256, name, validity(), name, spki, extensions());
  const signature = sign("sha256", content, privateKey);
  return sequence(content, ECDSA_SHA256, der(TAG.bitString, Buffer.from([0]), signature));
}

const pem = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString("base64").replace(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`;

/** A certificate for localhost, 127.0.0.1 and ::1 that is its own authority (RFC 5280), P-256. */
export function makeTlsPair(commonName: string): TlsPair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { cert: pem(certificate(commonName, publicKey, privateKey)), key };
}

/** The pair of this test file. */
export const TLS_PAIR = makeTlsPair("conduit test");
