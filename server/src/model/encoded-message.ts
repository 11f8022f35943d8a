/** Where a message carries its own wire form. */
const ENCODED = Symbol("encoded");

/**
 * A response message that many streams send, encoded once: the gRPC port writes `bytes` as they are, the HTTP port decodes
 * them. `message` may be empty; only `bytes` count.
 */
export function withEncoding<Message extends object>(message: Message, bytes: Uint8Array): Message {
  return Object.assign(message, { [ENCODED]: bytes });
}

/** The wire form `withEncoding` gave the message; undefined when it has none. */
export const encodingOf = (message: object): Uint8Array | undefined => (message as { [ENCODED]?: Uint8Array })[ENCODED];
