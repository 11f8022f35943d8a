import { createHash } from "node:crypto";

/** Subprotocols that stand for headers, since browsers cannot set any on a WebSocket (design.md 8). */
const LINK_TOKEN_PREFIX = "conduit.link.";
const USER_TOKEN_PREFIX = "conduit.jwt.";
/** Selected when the upstream selects none: browsers fail a handshake whose offers were all passed over. */
const OWN_PROTOCOL = "conduit.v1";

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** Base64 of 16 bytes (RFC 6455 4.1). */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const VERSION = "13";
/** RFC 6455 1.3. */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A client's handshake (RFC 6455 4.2.1), its offers of subprotocols taken apart. */
export interface Handshake {
  readonly key: string;
  /** Public text of why it cannot be answered; undefined = it can. Told only where WebSockets are allowed. */
  readonly problem: string | undefined;
  /** For the upstream, in the client's order. */
  readonly protocols: readonly string[];
  /** `conduit.v1` was offered. */
  readonly offersOwn: boolean;
  /** What stood in `conduit.link.…` and `conduit.jwt.…`: credentials, never logged and never forwarded. */
  readonly linkTokens: readonly string[];
  readonly userTokens: readonly string[];
  readonly hasExtensions: boolean;
}

/** Header lines of a handshake, one entry per line. */
export interface HandshakeLines {
  readonly webSocketKey: readonly string[];
  readonly webSocketVersion: readonly string[];
  readonly webSocketProtocol: readonly string[];
  readonly webSocketExtensions: readonly string[];
}

/** Reads a handshake; whether it is one is in `problem`. */
export function readHandshake(lines: HandshakeLines): Handshake {
  const [key = ""] = lines.webSocketKey;
  const offers = lines.webSocketProtocol.flatMap((line) => line.split(",")).map((offer) => offer.trim());
  const after = (prefix: string) => offers.flatMap((it) => (it.startsWith(prefix) ? [it.slice(prefix.length)] : []));
  return {
    key,
    problem: problemOf(lines, offers),
    // Whatever begins like ours stays here: a token in a misspelt offer must not reach the upstream.
    protocols: offers.filter((offer) => !offer.toLowerCase().startsWith("conduit.")),
    offersOwn: offers.includes(OWN_PROTOCOL),
    linkTokens: after(LINK_TOKEN_PREFIX),
    userTokens: after(USER_TOKEN_PREFIX),
    hasExtensions: lines.webSocketExtensions.length > 0,
  };
}

/** RFC 6455 4.2.1. */
function problemOf({ webSocketKey, webSocketVersion }: HandshakeLines, offers: readonly string[]): string | undefined {
  const [key = "", ...otherKeys] = webSocketKey;
  if (webSocketVersion.length !== 1 || webSocketVersion[0] !== VERSION) return "Sec-WebSocket-Version must be 13";
  if (!KEY.test(key) || otherKeys.length > 0) return "Sec-WebSocket-Key is not valid";
  const areNames = offers.every((offer) => TOKEN.test(offer)) && new Set(offers).size === offers.length;
  return areNames ? undefined : "Sec-WebSocket-Protocol must hold distinct names";
}

/** Headers of an upstream's 101; names in lower case. */
type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>;

/**
 * Header lines of the 101 that the client gets. Undefined = the upstream's is not one for this handshake (RFC 6455 4.1):
 * what answers without knowing the key speaks another protocol, and its bytes are not frames.
 */
export function switchingLines(handshake: Handshake, headers: AnswerHeaders): string[] | undefined {
  const { upgrade, "sec-websocket-accept": accept, "sec-websocket-protocol": protocol } = headers;
  const extensions = headers["sec-websocket-extensions"];
  if (typeof upgrade !== "string" || upgrade.toLowerCase() !== "websocket") return undefined;
  if (accept !== acceptOf(handshake.key)) return undefined;
  if (protocol !== undefined && !handshake.protocols.includes(String(protocol))) return undefined;
  if (extensions !== undefined && !handshake.hasExtensions) return undefined;
  const selected = protocol ?? (handshake.offersOwn ? OWN_PROTOCOL : undefined);
  return [
    ...["Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Accept", accept],
    ...(selected === undefined ? [] : ["Sec-WebSocket-Protocol", String(selected)]),
    ...(extensions === undefined ? [] : ["Sec-WebSocket-Extensions", [extensions].flat().join(", ")]),
  ];
}

const acceptOf = (key: string): string => createHash("sha1").update(`${key}${ACCEPT_SUFFIX}`).digest("base64");
