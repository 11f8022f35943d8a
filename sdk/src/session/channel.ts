interface Globals {
  readonly document?: unknown;
  readonly BroadcastChannel?: new (name: string) => BroadcastChannel;
}

/** Tells the other tabs that the store has changed. No token is ever in a message: whoever hears one reads the store. */
export interface Channel {
  announce(): void;
  close(): void;
}

/** Opens a channel. */
export type OpenChannel = (name: string, onChange: () => void) => Channel;

/** Channels between the tabs of an origin; `undefined` outside documents, where an open channel keeps the process alive. */
export function documentChannels(): OpenChannel | undefined {
  const { document, BroadcastChannel } = globalThis as Globals;
  if (!document || !BroadcastChannel) return undefined;
  return (name, onChange) => {
    const channel = new BroadcastChannel(name);
    channel.onmessage = onChange;
    return { announce: () => channel.postMessage(null), close: () => channel.close() };
  };
}
